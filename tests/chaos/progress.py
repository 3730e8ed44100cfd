"""How far the committed window results reach."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing

import orjson
from kafka import KafkaConsumer, TopicPartition

from driftwatch.stream.positions import parse_position
from tests.cluster import Cluster

Reach = Mapping[tuple[str, int], int]
"""Offsets by stream and partition of the input."""


class Watch:
    """Waits for windows that cover given offsets or later ones.

    Args:
        wanted: the offsets.
    """

    def __init__(self, wanted: Reach) -> None:
        self._wanted = wanted
        self._began = time.monotonic()
        self._reached_all = threading.Event()
        self.seconds: float | None = None

    def update(self, reached: Reach) -> None:
        """Record how long it took, if windows reach far enough."""
        if all(reached.get(place, -1) >= offset for place, offset in self._wanted.items()):
            self.seconds = time.monotonic() - self._began
            self._reached_all.set()

    def wait(self, limit_s: float, check: Callable[[], None]) -> bool:
        """Wait until windows reach far enough; returns whether they do.

        Args:
            limit_s: since the watch began.
            check: called several times a second; raises if waiting is pointless.
        """
        while not self._reached_all.wait(0.2):
            check()
            if time.monotonic() - self._began > limit_s:
                return False
        return True


class Progress(threading.Thread):
    """Follows the windows topic as a ``read_committed`` consumer.

    Args:
        cluster: whose windows topic exists.
    """

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(name="progress", daemon=True)
        self._servers, self._topic = cluster.bootstrap, cluster.named("windows")
        self._reached: dict[tuple[str, int], int] = {}
        self._watches: list[Watch] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def run(self) -> None:
        """The thread's loop."""
        with closing(
            KafkaConsumer(bootstrap_servers=self._servers, isolation_level="read_committed", group_id=None)
        ) as consumer:
            places = [TopicPartition(self._topic, number) for number in consumer.partitions_for_topic(self._topic)]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            while not self._stopping.is_set():
                for messages in consumer.poll(timeout_ms=100).values():
                    self._note([message.value for message in messages])

    def end(self) -> None:
        """Stop."""
        self._stopping.set()
        self.join()

    def watch(self, wanted: Reach) -> Watch:
        """A watch, begun now, for windows that cover these offsets or later ones."""
        watch = Watch(wanted)
        with self._lock:
            watch.update(self._reached)
            self._watches.append(watch)
        return watch

    def _note(self, values: list[bytes]) -> None:
        with self._lock:
            for value in values:
                result = orjson.loads(value)
                for each in result["window"]["offsets"]:
                    place = result["stream"], each["partition"]
                    self._reached[place] = max(self._reached.get(place, -1), each["last"])
            for watch in self._watches:
                watch.update(self._reached)
            self._watches = [watch for watch in self._watches if watch.seconds is None]


def wait_until_read(cluster: Cluster, ends: Mapping[int, int], limit_s: float, check: Callable[[], None]) -> None:
    """Wait until all input messages are processed, according to the committed position of the daemons' group.

    Args:
        cluster: whose input topic has no producer any more.
        ends: the end offset of each partition.
        limit_s: the longest wait.
        check: called several times a second; raises if waiting is pointless.

    Raises:
        RuntimeError: messages are left after that time.
    """
    pause, deadline = threading.Event(), time.monotonic() + limit_s
    with closing(KafkaConsumer(bootstrap_servers=cluster.bootstrap, group_id=cluster.prefix)) as consumer:

        def read(partition: int) -> int:
            committed = consumer.committed(TopicPartition(cluster.topic, partition), metadata=True)
            return parse_position(committed.offset, committed.metadata or "").seen if committed else 0

        while remaining := {
            partition: end - read(partition) for partition, end in ends.items() if read(partition) < end
        }:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"after {limit_s:.0f} s messages of {cluster.topic} are left by partition: {remaining}"
                )
            check()
            pause.wait(0.2)
