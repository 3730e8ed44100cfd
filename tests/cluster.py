"""A test's own topics on a broker: created, written and read."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from tests.patience import PATIENCE_S

TOPICS = ("panes", "windows", "state", "alerts", "dead_letters")


@dataclass
class Cluster:
    """A set of topics on a broker that belong to one test."""

    bootstrap: str
    prefix: str

    @property
    def topic(self) -> str:
        return f"{self.prefix}.input"

    def named(self, role: str) -> str:
        return f"{self.prefix}.{role}"

    def source(self, **more: Any) -> dict[str, Any]:
        return {
            "kind": "kafka",
            "bootstrap_servers": [self.bootstrap],
            "topic": self.topic,
            "group": self.prefix,
            "instance": "one",
            "topics": {role: self.named(role) for role in TOPICS},
            **more,
        }

    def create(self, partitions: int = 1, **configs: str) -> None:
        wanted = {self.topic: {"num_partitions": partitions, "configs": configs}}
        with contextlib.closing(KafkaAdminClient(bootstrap_servers=self.bootstrap)) as admin:
            admin.create_topics(wanted, wait_for_metadata=True)

    def send(self, messages: list[tuple[bytes, Mapping[str, bytes]]], partition: int = 0) -> None:
        # Timestamps of today: Kafka's retention may delete older messages at any time.
        now_ms = int(time.time() * 1000)
        with contextlib.closing(KafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=5)) as producer:
            sent = [
                producer.send(
                    self.topic, value=value, headers=list(headers.items()), partition=partition, timestamp_ms=now_ms + i
                )
                for i, (value, headers) in enumerate(messages)
            ]
            producer.flush()
            for each in sent:
                each.get(timeout=PATIENCE_S)

    def read(self, role: str, enough: Callable[[list[ConsumerRecord]], bool]) -> list[ConsumerRecord]:
        """Read the committed messages of one of driftwatch's topics until there are enough."""
        with contextlib.closing(
            KafkaConsumer(bootstrap_servers=self.bootstrap, isolation_level="read_committed", group_id=None)
        ) as consumer:
            found: list[ConsumerRecord] = []
            deadline = time.monotonic() + PATIENCE_S
            while not (partitions := consumer.partitions_for_topic(self.named(role))):
                assert time.monotonic() < deadline, f"topic {self.named(role)} does not exist"
                consumer.poll(timeout_ms=200)
            places = [TopicPartition(self.named(role), number) for number in partitions]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            while not enough(found):
                assert time.monotonic() < deadline, f"only {len(found)} messages in {self.named(role)}"
                for messages in consumer.poll(timeout_ms=200).values():
                    found += messages
            return found

    def read_all(self, topic: str) -> list[ConsumerRecord]:
        """Read every committed message of a topic up to its present end; messages of a partition are in order."""
        with contextlib.closing(
            KafkaConsumer(bootstrap_servers=self.bootstrap, isolation_level="read_committed", group_id=None)
        ) as consumer:
            places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            assert places, f"topic {topic} does not exist"
            consumer.assign(places)
            ends = consumer.end_offsets(places)
            consumer.seek_to_beginning(*places)
            found: list[ConsumerRecord] = []
            deadline = time.monotonic() + PATIENCE_S
            while any(consumer.position(place) < ends[place] for place in places):
                assert time.monotonic() < deadline, f"only {len(found)} messages in {topic}, before {ends}"
                for messages in consumer.poll(timeout_ms=200).values():
                    found += messages
                    deadline = time.monotonic() + PATIENCE_S
            return found
