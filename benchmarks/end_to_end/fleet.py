"""A fleet of daemons that reads the topic from its beginning, measured in the middle of the topic."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError

from benchmarks.end_to_end.meters import Committed, Counts, GpuMeter, read_counts
from benchmarks.end_to_end.topic import STREAM, Topic
from benchmarks.processor import processor_s
from tests.broker import KafkaBroker
from tests.daemons import RunningDaemon, launch

SIZES = (5, 50)
"""Window sizes, in steps."""

BEGIN, END = 0.2, 0.9
"""The measured share of the samples: before it daemons start and join, and after it they run out of partitions."""

READ_S = 0.02
TAIL = 3_000

Roles = Sequence[str]


class FleetError(Exception):
    """A fleet could not be measured."""


@dataclass(frozen=True)
class Setup:
    """The settings that all fleets share.

    Args:
        kafka: the broker.
        bundle: bundle of the reference.
        device: device for scoring.
        step: samples in a pane.
        folder: folder for configurations and logs.
        limit_s: time limit for one fleet, including its start.
        source: further options of the source.
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
    """A fleet's progress at one time."""

    second: float
    scored: int
    tested: int
    processor_s: tuple[float, ...]
    broker_s: float
    counts: tuple[Counts, ...]


@dataclass(frozen=True)
class Measured:
    """A fleet's measurements between two marks.

    Args:
        roles: roles of each daemon.
        seconds: time between the marks.
        scored: samples scored in that time.
        tested: samples whose windows were committed in that time; 0 if no daemon tests.
        started_s: seconds from the start to the first committed sample.
        gpu: share of time in which the GPU was busy, if known.
        cores: cores used by each daemon.
        broker: cores used by the broker.
        counts: counters of each daemon over that time.
    """

    roles: Sequence[Roles]
    seconds: float
    scored: int
    tested: float
    started_s: float
    gpu: float | None
    cores: Sequence[float]
    broker: float
    counts: Sequence[Counts]

    def of(self, role: str) -> list[int]:
        """The indexes of the daemons that have a role."""
        return [number for number, roles in enumerate(self.roles) if role in roles]


def roles_of(name: str) -> list[Roles]:
    """The roles of each daemon of a fleet.

    "2" is two scorers, "2+1" is two scorers and a tester, and "both" is one daemon with both roles.

    Raises:
        ValueError: the name describes no fleet.
    """
    if name == "both":
        return [("score", "test")]
    if not (found := re.fullmatch(r"([1-9]\d*)(?:\+([1-9]\d*))?", name)):
        raise ValueError(f"{name!r} is no fleet; 2, 2+1 and both are")
    scorers: list[Roles] = [("score",)] * int(found[1])
    return scorers + [("test",)] * int(found[2] or 0)


def measure(setup: Setup, topic: Topic, name: str, gpu: GpuMeter) -> Measured:
    """Run a fleet until it has scored most of a topic.

    Raises:
        FleetError: a daemon ended, messages were refused, or the fleet took too long.
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
            return Mark(second, scored, tested, spent, processor_s(setup.kafka.pid), tuple(map(_read_counts, daemons)))

        commits = _commits(committed, daemons, started + setup.limit_s)
        first, _ = next(commits)
        # Marks are set right after a commit: a transaction may hold a third of a second's samples.
        begin = mark(*next(each for each in commits if each[1] >= BEGIN * topic.samples))
        end = mark(*next(each for each in commits if each[1] >= END * topic.samples))
        tested = (end.tested - begin.tested) * committed.samples_of_offset() if tests else 0.0
    seconds = end.second - begin.second
    counts = [after - before for after, before in zip(end.counts, begin.counts, strict=True)]
    if dead := sum(each.dead for each in end.counts):
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
        counts,
    )


def _commits(committed: Committed, daemons: Sequence[RunningDaemon], deadline: float) -> Iterator[tuple[float, int]]:
    """The times of commits, as `time.monotonic`, and the number of samples committed by then."""
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
        # The offsets topic is created when the first daemon joins its group.
        if not error.retriable:
            raise
        return before


def _read_counts(daemon: RunningDaemon) -> Counts:
    if not daemon.url:
        daemon.url = next(line["url"] for line in daemon.lines() if line["event"] == "serving")
    return read_counts(daemon)


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
        # Not `stop`: it may be in the middle of the topic, and nothing more of it is measured.
        daemon.kill()
