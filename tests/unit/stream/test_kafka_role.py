"""What every role does with its consumer: it measures lag from the end of the log, and resumes what it paused."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from types import SimpleNamespace

from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError
from kafka.structs import MemberState

from driftwatch.config import KafkaSource
from driftwatch.stream.events import Event, LagMeasured
from driftwatch.stream.kafka_clients import KafkaRole

SOURCE = KafkaSource(kind="kafka", bootstrap_servers=["broker:9092"], topic="requests")
PLACES = [TopicPartition("requests", 0), TopicPartition("requests", 1)]


class Role(KafkaRole):
    """A role that does nothing by itself."""

    def session(self, stop: threading.Event, clients: ExitStack) -> None:
        raise NotImplementedError


class Consumer:
    """A consumer that has returned 500 messages of each partition, and fetched no more."""

    def __init__(self, *, unreachable: bool = False) -> None:
        self._away = unreachable
        self._paused: set[TopicPartition] = set()
        self._cluster = SimpleNamespace(topic_id=lambda _: None)
        self._fetcher = SimpleNamespace(_next_partition_records=None)

    def pause(self, *places: TopicPartition) -> None:
        self._paused |= set(places)

    def resume(self, *places: TopicPartition) -> None:
        self._paused -= set(places)

    def paused(self) -> set[TopicPartition]:
        return set(self._paused)

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[object]]:
        return {}

    def assignment(self) -> set[TopicPartition]:
        return set(PLACES)

    def group_metadata(self) -> SimpleNamespace:
        return SimpleNamespace(state=MemberState.STABLE)

    def highwater(self, _: TopicPartition) -> int:
        return 500

    def position(self, _: TopicPartition, timeout_ms: int) -> int:
        return 500

    def end_offsets(self, places: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        if self._away:
            raise KafkaTimeoutError
        return {place: 500 if place.partition else 3_000 for place in places}


def lag_of(consumer: Consumer) -> dict[int, int]:
    events: list[Event] = []
    Role("score", SOURCE, events.append).measure_lag(consumer, [("requests", 0)] * 3 + [("requests", 1)])
    return {each.partition: each.lag for each in events if isinstance(each, LagMeasured)}


def test_lag_counts_messages_that_were_not_fetched_and_those_that_wait_here() -> None:
    assert lag_of(Consumer()) == {0: 2_503, 1: 1}


def test_no_lag_is_reported_while_the_broker_is_unreachable() -> None:
    assert lag_of(Consumer(unreachable=True)) == {}


def test_a_partition_paused_by_the_role_stays_paused() -> None:
    role, consumer = Role("test", SOURCE, lambda _: None), Consumer()
    consumer.pause(PLACES[0])
    for busy, paused in ((False, PLACES[:1]), (True, PLACES), (True, PLACES), (False, PLACES[:1])):
        assert role.poll(consumer, busy=busy) == {}
        assert consumer.paused() == set(paused)
