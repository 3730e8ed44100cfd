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
"""By stream and partition of the input, an offset."""


class Watch:
    """Waits for windows that cover given offsets or later ones.

    Args:
        wanted: the offsets.
    """

    def __init__(self, wanted: Reach) -> None:
        self._wanted = wanted
        self._began = time.monotonic()
        self._there = threading.Event()
        self.seconds: float | None = None

    def look(self, reached: Reach) -> None:
        """Notes how long it took, if windows reach far enough."""
        if all(reached.get(place, -1) >= offset for place, offset in self._wanted.items()):
            self.seconds = time.monotonic() - self._began
            self._there.set()

    def wait(self, limit_s: float, check: Callable[[], None]) -> bool:
        """Waits; tells whether windows reach far enough.

        Args:
            limit_s: since the watch began.
            check: called several times a second; raises if there is no point in going on.
        """
        while not self._there.wait(0.2):
            check()
            if time.monotonic() - self._began > limit_s:
                return False
        return True


class Progress(threading.Thread):
    """Follows the windows topic as a ``read_committed`` reader does.

    Args:
        cluster: whose topic there is already.
    """

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(name="progress", daemon=True)
        self._servers, self._topic = cluster.bootstrap, cluster.named("windows")
        self._reached: dict[tuple[str, int], int] = {}
        self._watches: list[Watch] = []
        self._lock = threading.Lock()
        self._over = threading.Event()

    def run(self) -> None:
        """Called by the thread."""
        with closing(
            KafkaConsumer(bootstrap_servers=self._servers, isolation_level="read_committed", group_id=None)
        ) as consumer:
            places = [TopicPartition(self._topic, number) for number in consumer.partitions_for_topic(self._topic)]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            while not self._over.is_set():
                for messages in consumer.poll(timeout_ms=100).values():
                    self._note([message.value for message in messages])

    def end(self) -> None:
        """Stops."""
        self._over.set()
        self.join()

    def watch(self, wanted: Reach) -> Watch:
        """Waits from now on for windows that cover these offsets or later ones."""
        watch = Watch(wanted)
        with self._lock:
            watch.look(self._reached)
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
                watch.look(self._reached)
            self._watches = [watch for watch in self._watches if watch.seconds is None]


def wait_until_read(cluster: Cluster, ends: Mapping[int, int], limit_s: float, check: Callable[[], None]) -> None:
    """Waits until all messages of the input are taken in, by what the daemons' group has committed.

    Args:
        cluster: whose input topic nobody writes to any more.
        ends: offset of each partition at which it ends.
        limit_s: for that.
        check: called several times a second; raises if there is no point in going on.

    Raises:
        RuntimeError: they are not, in time.
    """
    pause, deadline = threading.Event(), time.monotonic() + limit_s
    with closing(KafkaConsumer(bootstrap_servers=cluster.bootstrap, group_id=cluster.prefix)) as consumer:

        def read(partition: int) -> int:
            told = consumer.committed(TopicPartition(cluster.topic, partition), metadata=True)
            return parse_position(told.offset, told.metadata or "").seen if told else 0

        while left := {partition: end - read(partition) for partition, end in ends.items() if read(partition) < end}:
            if time.monotonic() > deadline:
                raise RuntimeError(f"after {limit_s:.0f} s messages of {cluster.topic} are left by partition: {left}")
            check()
            pause.wait(0.2)
