"""A subscription measures lag from the end of the log, resumes what it paused, and notices a recreated topic."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import UUID

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError
from kafka.structs import MemberState, OffsetAndMetadata

from driftwatch.stream.events import Event, LagMeasured
from driftwatch.stream.lag import LagMeter
from driftwatch.stream.losses import Unready
from driftwatch.stream.positions import Position, parse_position
from driftwatch.stream.rewind import parse_rewind, rewind_metadata
from driftwatch.stream.subscription import Subscription

PLACES = [TopicPartition("requests", 0), TopicPartition("requests", 1)]


class Consumer:
    """A consumer that has returned 500 messages of each partition, and fetched no more."""

    def __init__(self, *, unreachable: bool = False) -> None:
        self._away = unreachable
        self._paused: set[TopicPartition] = set()
        self.topic_id: UUID | None = None
        self._cluster = SimpleNamespace(topic_id=lambda _: self.topic_id, cluster_id="MkU3OEVBNTcwNTJENDM2Qg")
        self.held: OffsetAndMetadata | None = None
        self._fetcher = SimpleNamespace(_next_partition_records=None)

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {place.partition for place in PLACES}

    def subscribe(self, topics: list[str], listener: object) -> None:
        assert topics == ["requests"]

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

    def committed(self, _: TopicPartition, *, metadata: bool, timeout_ms: int) -> OffsetAndMetadata | None:
        return self.held if metadata else None

    def highwater(self, _: TopicPartition) -> int:
        return 500

    def position(self, _: TopicPartition, timeout_ms: int) -> int:
        return 500

    def end_offsets(self, places: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        if self._away:
            raise KafkaTimeoutError
        return {place: 500 if place.partition else 3_000 for place in places}


def subscription(consumer: Consumer, identities: dict[str, UUID] | None = None) -> Subscription:
    known = {} if identities is None else identities
    return Subscription(consumer, "requests", instance=False, identities=known)


def lag_of(consumer: Consumer) -> dict[int, int]:
    events: list[Event] = []
    LagMeter(subscription(consumer), events.append).measure([("requests", 0)] * 3 + [("requests", 1)])
    return {each.partition: each.lag for each in events if isinstance(each, LagMeasured)}


def test_lag_counts_messages_that_were_not_fetched_and_those_that_wait_here() -> None:
    assert lag_of(Consumer()) == {0: 2_503, 1: 1}


def test_no_lag_is_reported_while_the_broker_is_unreachable() -> None:
    assert lag_of(Consumer(unreachable=True)) == {}


def test_a_partition_paused_by_the_role_stays_paused() -> None:
    consumer = Consumer()
    reading = subscription(consumer)
    consumer.pause(PLACES[0])
    for busy, paused in ((False, PLACES[:1]), (True, PLACES), (True, PLACES), (False, PLACES[:1])):
        assert reading.poll(busy=busy) == {}
        assert consumer.paused() == set(paused)


def test_a_topic_that_was_made_anew_between_two_connections_is_noticed_once() -> None:
    identities: dict[str, UUID] = {}
    for number in (1, 1):
        consumer = Consumer()
        consumer.topic_id = UUID(int=number)
        assert subscription(consumer, identities).poll() == {}
    consumer.topic_id = UUID(int=2)
    with pytest.raises(Unready, match="was deleted and recreated"):
        subscription(consumer, identities).poll()
    assert subscription(consumer, identities).poll() == {}


def test_an_offset_counts_only_in_the_topic_that_it_was_committed_for() -> None:
    consumer = Consumer()
    consumer.topic_id = UUID("11111111-0000-0000-0000-000000000000")
    reading = subscription(consumer)
    reading.poll()
    position = Position(7, 9, {"a": (7, 3)})
    for metadata in (position.metadata(reading.identity), rewind_metadata(3, reading.identity), "", "of others", "[]"):
        consumer.held = OffsetAndMetadata(7, metadata, -1)
        assert reading.committed(PLACES[0]) == consumer.held
    assert parse_position(7, position.metadata(reading.identity)) == position
    assert parse_rewind(rewind_metadata(3, reading.identity)) == 3

    consumer.held = OffsetAndMetadata(7, position.metadata(reading.identity), -1)
    consumer.topic_id = UUID("22222222-0000-0000-0000-000000000000")
    assert subscription(consumer).poll() == {}
    recreated = subscription(consumer)
    recreated.poll()
    assert recreated.committed(PLACES[0]) is None
    consumer._cluster.cluster_id = "another cluster, where a copy has the same offsets"
    assert recreated.committed(PLACES[0]) == consumer.held
