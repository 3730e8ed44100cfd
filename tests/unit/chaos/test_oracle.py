"""The oracle follows replicas that switch references at any moment, and notices all other differences."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from driftwatch.config import DaemonConfig
from driftwatch.data.codecs import encode
from driftwatch.reference.loading import load_reference
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.log import Record
from driftwatch.stream.pane_codec import encode_pane
from driftwatch.stream.panes import Pane
from driftwatch.stream.reading import Route
from driftwatch.stream.score_stage import ScoreStage
from tests.chaos.oracle import Oracle
from tests.chaos.runs import runs_of
from tests.synthetic import SCHEMA, waves

PLACE = ("input", 0)
STREAM, STEP, TICK_MS = "calm", 10, 1_000
BATCH, MESSAGES = 7, 60


@dataclass(frozen=True)
class Message:
    """A message as a Kafka client returns it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def messages(draw: random.Random) -> list[Message]:
    """Messages of a stream, some of them far apart in time."""
    samples, time_ms = waves(BATCH * MESSAGES), 1_800_000_000_000
    found = []
    for number in range(MESSAGES):
        time_ms += draw.choice((10, 10, TICK_MS))
        value, headers = encode(samples[BATCH * number : BATCH * (number + 1)], SCHEMA, "npy")
        named = (*headers.items(), ("driftwatch-stream", STREAM.encode()))
        found.append(Message(*PLACE, number, time_ms, None, value, named))
    return found


def record_of(message: Message) -> Record:
    return Record(*PLACE, message.offset, message.timestamp, None, message.value, message.headers)


class Replica:
    """Scores units of work; it may switch references in between, and die before a unit is committed."""

    def __init__(self, scorers: list[Scorer], draw: random.Random) -> None:
        self._scorers, self._draw = scorers, draw
        self._routes = self._route()

    def _route(self) -> dict[str, Route]:
        return {STREAM: Route(STREAM, self._draw.choice(self._scorers))}

    def run(self, records: list[Record]) -> Iterator[Pane]:
        position = None
        while position is None or position.seen < len(records):
            stage = ScoreStage(self._routes, STEP, tick_ms=TICK_MS, renew=lambda: self._routes)
            stage.assign(PLACE, position)
            at = position.offset if position else 0
            while at < len(records):
                self._routes = self._route() if self._draw.random() < 0.2 else self._routes
                unit = deque(records[at : at + self._draw.randint(1, 4)])
                at += len(unit)
                work = stage.work(unit)
                if self._draw.random() < 0.2:
                    # Killed before this was committed; its successor may have another reference.
                    self._routes = self._route()
                    break
                position = work.positions[PLACE]
                yield from work.panes


@pytest.fixture(scope="module")
def oracle(bundle: Path, other_reference: Reference) -> Oracle:
    config = {
        "source": {"kind": "kafka", "bootstrap_servers": ["127.0.0.1:9092"], "topic": PLACE[0]},
        "streams": [{"name": STREAM, "reference": str(bundle)}],
        "windows": {"sizes": [20, "10s"], "step": STEP},
    }
    return Oracle(DaemonConfig.model_validate(config), [other_reference])


@pytest.fixture(scope="module")
def other_reference(other: Path) -> Reference:
    return load_reference(other)


@pytest.mark.parametrize("seed", range(3))
def test_switches_and_kills_at_any_moment_give_the_expected_panes(
    seed: int, oracle: Oracle, reference: Reference, other_reference: Reference
) -> None:
    draw = random.Random(seed)
    log = messages(draw)
    found = list(Replica([Scorer(reference), Scorer(other_reference)], draw).run([record_of(each) for each in log]))
    runs = runs_of(found, STEP)
    assert len(runs[f"{STREAM}/0"]) > 2
    assert any(pane.unfinished for pane in found)
    expected, _ = oracle.scored(log, runs)
    assert expected[f"{STREAM}/0"] == [encode_pane(pane) for pane in found]


def test_lost_repeated_and_mislabelled_panes_are_noticed(
    oracle: Oracle, reference: Reference, other_reference: Reference
) -> None:
    draw = random.Random(1)
    log = messages(draw)
    found = list(Replica([Scorer(reference), Scorer(other_reference)], draw).run([record_of(each) for each in log]))
    middle = len(found) // 2
    versions = {reference.version, other_reference.version}
    (wrong_version,) = versions - {found[middle].reference}
    for wrong in (
        found[:middle] + found[middle + 1 :],
        [*found[:middle], replace(found[middle], reference=wrong_version), *found[middle + 1 :]],
        found[: middle + 1] + found[middle:],
    ):
        expected, _ = oracle.scored(log, runs_of(wrong, STEP))
        assert expected[f"{STREAM}/0"] != [encode_pane(pane) for pane in wrong]
