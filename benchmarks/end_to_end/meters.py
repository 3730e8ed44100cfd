"""Meters read while daemons run: committed samples, the GPU's utilisation, and the daemons' own stage times."""

from __future__ import annotations

import importlib
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from statistics import fmean

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from benchmarks.end_to_end.topic import Topic
from tests.daemons import RunningDaemon

GPU_EVERY_S = 0.1

_STAGE = re.compile(r'^driftwatch_stage_seconds_(sum|count)\{stage="(\w+)"\} (\S+)', re.MULTILINE)
_DEAD = re.compile(r"^driftwatch_dead_letters_total\{[^}]*\} (\S+)", re.MULTILINE)


class Committed:
    """A fleet's progress by its committed offsets, which are in the same transactions as its panes.

    Args:
        bootstrap: bootstrap address of the broker.
        topic: the input topic.
        group: consumer group of the source.
        step: samples in a pane.
    """

    def __init__(self, bootstrap: str, topic: Topic, group: str, step: int) -> None:
        self._topic, self._group, self._step = topic, group, step
        self._input = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        self._panes = [TopicPartition(f"{group}.panes", number) for number in range(topic.partitions)]
        self._admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None)

    @contextmanager
    def reading(self) -> Iterator[Committed]:
        """Close the connections when the block ends."""
        with closing(self._admin), closing(self._consumer):
            yield self

    def scored(self) -> int:
        """The number of samples whose messages are committed."""
        return self._offsets(self._group, self._input) * self._topic.count

    def tested(self) -> int:
        """The number of committed offsets of the panes topic, including transaction markers."""
        return self._offsets(f"{self._group}.test", self._panes)

    def samples_of_offset(self) -> float:
        """Samples per offset of the panes topic, most of which are panes and some of which are transaction markers."""
        ends: Mapping[TopicPartition, int] = self._consumer.end_offsets(self._panes)
        return self.scored() / max(1, sum(ends.values()))

    def _offsets(self, group: str, places: Sequence[TopicPartition]) -> int:
        found = self._admin.list_group_offsets({group: list(places)})[group]
        return sum(max(0, each.offset) for each in found.values())


class GpuMeter:
    """The share of time in which a GPU is busy, as its driver reports it.

    Args:
        device: PyTorch's name of the device; nothing is read for a CPU.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._readings: list[tuple[float, float]] = []
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[GpuMeter]:
        """Read the utilisation until the block ends."""
        if not self._device.startswith("cuda"):
            yield self
            return
        thread = threading.Thread(target=self._read, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def busy(self, begin: float, end: float) -> float | None:
        """The mean utilisation between two times of `time.monotonic`; None if nothing was read."""
        found = [percent for at, percent in self._readings if begin <= at <= end]
        return fmean(found) / 100 if found else None

    def _read(self) -> None:
        try:
            nvml = importlib.import_module("pynvml")
            nvml.nvmlInit()
            handle = nvml.nvmlDeviceGetHandleByIndex(int(self._device.partition(":")[2] or 0))
            while not self._stop.wait(GPU_EVERY_S):
                self._readings.append((time.monotonic(), float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)))
        except Exception as error:  # noqa: BLE001 - whatever the driver says, the rest is still worth measuring
            sys.stderr.write(f"a GPU's use cannot be read: {error!r}\n")


@dataclass(frozen=True)
class Counts:
    """Counters from a daemon's metrics.

    Args:
        seconds: time spent, by stage.
        passes: number of passes, by stage.
        dead: number of dead letters.
    """

    seconds: Counter[str]
    passes: Counter[str]
    dead: float

    def __sub__(self, before: Counts) -> Counts:
        """The increase since `before`."""
        seconds, passes = Counter(self.seconds), Counter(self.passes)
        seconds.subtract(before.seconds)
        passes.subtract(before.passes)
        return Counts(seconds, passes, self.dead - before.dead)


def read_counts(daemon: RunningDaemon) -> Counts:
    """Read the counters of a daemon."""
    return parse(daemon.get("/metrics").text)


def parse(text: str) -> Counts:
    """Parse the counters from metrics in Prometheus' text format."""
    counts: dict[str, Counter[str]] = {"sum": Counter(), "count": Counter()}
    for kind, stage, value in _STAGE.findall(text):
        counts[kind][stage] += float(value)  # type: ignore[assignment]
    return Counts(counts["sum"], counts["count"], sum(map(float, _DEAD.findall(text))))
