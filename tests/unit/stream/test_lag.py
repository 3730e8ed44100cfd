"""Lag is told from where a log ends by now, whatever a consumer has fetched, and counts what waits to be scored."""

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
    """Does nothing by itself."""

    def session(self, stop: threading.Event, clients: ExitStack) -> None:
        raise NotImplementedError


class Consumer:
    """As far as lag goes: it was given 500 of each partition, and has fetched as many."""

    def __init__(self, *, away: bool = False) -> None:
        self._away = away

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
        return dict(zip(places, (3_000, 500), strict=True))


def measured(consumer: Consumer) -> dict[int, int]:
    told: list[Event] = []
    Role("score", SOURCE, told.append).measure_lag(consumer, [("requests", 0)] * 3 + [("requests", 1)])
    return {each.partition: each.lag for each in told if isinstance(each, LagMeasured)}


def test_what_was_not_fetched_and_what_waits_here_is_lag() -> None:
    assert measured(Consumer()) == {0: 2_503, 1: 1}


def test_nothing_is_told_while_the_broker_is_away() -> None:
    assert measured(Consumer(away=True)) == {}
