"""A role that reads a Kafka topic: what it remembers when it has to connect anew."""

from __future__ import annotations

import time
from uuid import UUID

from kafka import KafkaConsumer, TopicPartition

from driftwatch.config import KafkaSource
from driftwatch.stream.events import Observer
from driftwatch.stream.losses import Unready
from driftwatch.stream.reconnecting import Reconnecting
from driftwatch.stream.subscription import Subscription

SHORT_S = 30.0
"""How long a log must end short of the position already read, until the messages between count as lost."""


class KafkaRole(Reconnecting):
    """Reads a Kafka topic until stopped.

    Args:
        name: of the role, for logs and health.
        source: brokers and group.
        observer: receives events about the connection.
    """

    def __init__(self, name: str, source: KafkaSource, observer: Observer) -> None:
        super().__init__(name, observer)
        self.source = source
        self._identities: dict[str, UUID] = {}
        self._short_since: dict[TopicPartition, float] = {}

    def subscribe(self, consumer: KafkaConsumer, topic: str) -> Subscription:
        """Subscribe to a topic; one that is recreated is noticed, also over connections."""
        named = self.source.instance is not None
        return Subscription(consumer, topic, instance=named, identities=self._identities)

    def require_end(self, partition: TopicPartition, end: int, read: int) -> None:
        """Accept that a log ends before the position read from it only once that has lasted for a while.

        A broker that has just become a partition's leader may not know the high watermark yet, and report a lower end.

        Raises:
            Unready: the end must be checked again.
        """
        if read <= end:
            self._short_since.pop(partition, None)
            return
        since = self._short_since.setdefault(partition, time.monotonic())
        if time.monotonic() - since < SHORT_S:
            raise Unready(f"{partition.topic}/{partition.partition} ends at {end}, and was read up to {read}")
