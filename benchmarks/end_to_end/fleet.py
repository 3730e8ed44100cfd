"""A fleet of daemons that reads the topic from its beginning, measured in the middle of its way."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError

from benchmarks.end_to_end.meters import Committed, GpuMeter, Told, ask
from benchmarks.end_to_end.topic import STREAM, Topic
from benchmarks.processor import processor_s
from tests.broker import KafkaBroker
from tests.daemons import RunningDaemon, launch

SIZES = (5, 50)
"""Of windows, in steps."""

BEGIN, END = 0.2, 0.9
"""Of the samples: what is before is starting and joining, and after it daemons run out of partitions."""

READ_S = 0.02
TAIL = 3_000

Roles = Sequence[str]


class FleetError(Exception):
    """A fleet did not do what is measured."""


@dataclass(frozen=True)
class Setup:
    """What fleets have in common.

    Args:
        kafka: the broker.
        bundle: of the reference.
        device: to score on.
        step: samples in a pane.
        folder: for configurations and logs.
        limit_s: for one fleet, its start included.
        source: options of the source beside the usual ones.
    """

    kafka: KafkaBroker
    bundle: Path
    device: str
    step: int
    folder: Path
    limit_s: float
    source: Mapping[str, Any]


@dataclass(frozen=True)
class Mark:
    """Where a fleet was at one time."""

    second: float
    scored: int
    tested: int
    processor_s: tuple[float, ...]
    broker_s: float
    told: tuple[Told, ...]


@dataclass(frozen=True)
class Measured:
    """What came of a fleet between two marks.

    Args:
        roles: of each daemon.
        seconds: between the marks.
        scored: samples meanwhile.
        tested: samples meanwhile, whose windows are committed; 0 if nobody tests.
        started_s: from the start to the first sample that was committed.
        gpu: share of time in which it was busy, if that can be told.
        cores: used by each daemon.
        broker: cores used by the broker.
        told: by each daemon.
    """

    roles: Sequence[Roles]
    seconds: float
    scored: int
    tested: float
    started_s: float
    gpu: float | None
    cores: Sequence[float]
    broker: float
    told: Sequence[Told]

    def of(self, role: str) -> list[int]:
        """The numbers of the daemons that have a role."""
        return [number for number, roles in enumerate(self.roles) if role in roles]


def roles_of(name: str) -> list[Roles]:
    """The roles of each daemon of a fleet.

    "2" is two that score, "2+1" has one that tests beside, and "both" is one with both roles.

    Raises:
        ValueError: it is no fleet.
    """
    if name == "both":
        return [("score", "test")]
    if not (found := re.fullmatch(r"([1-9]\d*)(?:\+([1-9]\d*))?", name)):
        raise ValueError(f"{name!r} is no fleet; 2, 2+1 and both are")
    scorers: list[Roles] = [("score",)] * int(found[1])
    return scorers + [("test",)] * int(found[2] or 0)


def measure(setup: Setup, topic: Topic, name: str, gpu: GpuMeter) -> Measured:
    """Runs a fleet until it has scored most of a topic.

    Raises:
        FleetError: a daemon ended, messages were refused, or it takes too long.
    """
    roles, group = roles_of(name), f"{topic.name}-{name.replace('+', '-and-')}"
    tests = any("test" in each for each in roles)
    with (
        ExitStack() as running,
        Committed(setup.kafka.bootstrap, topic, group, setup.step).reading() as committed,
    ):
        started = time.monotonic()
        daemons = [
            running.enter_context(_running(setup, topic, group, each, number)) for number, each in enumerate(roles)
        ]

        def mark(second: float, scored: int) -> Mark:
            tested = committed.tested() if tests else 0
            spent = tuple(processor_s(each.process.pid) for each in daemons)
            return Mark(second, scored, tested, spent, processor_s(setup.kafka.pid), tuple(map(_ask, daemons)))

        commits = _commits(committed, daemons, started + setup.limit_s)
        first, _ = next(commits)
        # Marks are set where something has just been committed: a transaction may hold a third of a second's samples.
        begin = mark(*next(each for each in commits if each[1] >= BEGIN * topic.samples))
        end = mark(*next(each for each in commits if each[1] >= END * topic.samples))
        tested = (end.tested - begin.tested) * committed.samples_of_offset() if tests else 0.0
    seconds = end.second - begin.second
    told = [after - before for after, before in zip(end.told, begin.told, strict=True)]
    if dead := sum(each.dead for each in end.told):
        raise FleetError(f"{dead:.0f} messages were refused")
    return Measured(
        roles,
        seconds,
        end.scored - begin.scored,
        tested,
        first - started,
        gpu.busy(begin.second, end.second),
        [(after - before) / seconds for after, before in zip(end.processor_s, begin.processor_s, strict=True)],
        (end.broker_s - begin.broker_s) / seconds,
        told,
    )


def _commits(committed: Committed, daemons: Sequence[RunningDaemon], deadline: float) -> Iterator[tuple[float, int]]:
    """When more was committed, seconds of `time.monotonic`, and how many samples were by then."""
    before = 0
    while True:
        scored, now = _scored(committed, before), time.monotonic()
        if scored > before:
            yield now, scored
            before = scored
        for each in daemons:
            if each.process.poll() is not None:
                raise FleetError(f"a daemon ended with {each.process.returncode}:\n{each.log.read_text()[-TAIL:]}")
        if now > deadline:
            raise FleetError(f"no more than {scored:,} samples in time:\n{daemons[0].log.read_text()[-TAIL:]}")
        time.sleep(READ_S)


def _scored(committed: Committed, before: int) -> int:
    try:
        return committed.scored()
    except KafkaError as error:
        # The topic of offsets is made when the first daemon joins its group.
        if not error.retriable:
            raise
        return before


def _ask(daemon: RunningDaemon) -> Told:
    if not daemon.url:
        daemon.url = next(line["url"] for line in daemon.lines() if line["event"] == "serving")
    return ask(daemon)


@contextmanager
def _running(setup: Setup, topic: Topic, group: str, roles: Roles, number: int) -> Iterator[RunningDaemon]:
    config = {
        "source": {
            "kind": "kafka",
            "bootstrap_servers": [setup.kafka.bootstrap],
            "topic": topic.name,
            "group": group,
            **setup.source,
        },
        "streams": [{"name": STREAM, "reference": str(setup.bundle)}],
        "windows": {"sizes": [size * setup.step for size in SIZES], "step": setup.step},
        "device": setup.device,
        "roles": list(roles),
    }
    daemon = launch(config, setup.folder, f"{group}.{number}")
    try:
        yield daemon
    finally:
        # Not `stop`: it may be in the middle of the topic, and nothing is to be measured of it any more.
        daemon.kill()
