"""Panes whose reference is not here: their partition waits, for a while."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pytest
from kafka import KafkaConsumer, TopicPartition

from driftwatch.errors import MessageError
from driftwatch.serve.health import Health
from driftwatch.stats.sums import keep
from driftwatch.stream.events import Event, ReferenceAwaited
from driftwatch.stream.panes import Pane
from driftwatch.stream.waiting import Waiting

PLACES = [TopicPartition("panes", number) for number in range(2)]
PANE = Pane("a", "new", 1, keep(np.zeros(3)), 0, 0, "input", 0, (0, 0), (0, 0))


@dataclass
class Consumer:
    """Notes what is asked of it."""

    asked: list[Any] = field(default_factory=list)

    def pause(self, place: TopicPartition) -> None:
        self.asked.append(("pause", place.partition))

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.asked.append(("seek", place.partition, offset))

    def resume(self, place: TopicPartition) -> None:
        self.asked.append(("resume", place.partition))


def waiting(patience_s: float) -> tuple[Waiting, Consumer, list[Event], list[tuple[str, str]]]:
    told: list[Event] = []
    wanted: list[tuple[str, str]] = []
    consumer = Consumer()
    kafka = cast("KafkaConsumer", consumer)
    held = Waiting(kafka, lambda *wants: wanted.append(wants), lambda: patience_s, told.append)
    return held, consumer, told, wanted


def test_a_partition_waits_where_it_is_until_the_reference_is_here() -> None:
    held, consumer, told, wanted = waiting(patience_s=1e6)
    held.hold(PLACES[1], 17, PANE)
    assert consumer.asked == [("pause", 1), ("seek", 1, 17)]
    assert wanted == [("a", "new")]
    held.look(lambda *_: True)
    assert told == [ReferenceAwaited("a", "new", waiting=True)]
    held.look(lambda *_: False)
    assert consumer.asked[2:] == [("resume", 1)]
    assert told[1:] == [ReferenceAwaited("a", "new", waiting=False)]


def test_after_a_while_panes_of_that_reference_are_given_up() -> None:
    held, consumer, told, _ = waiting(patience_s=0)
    for place in PLACES:
        held.hold(place, 17, PANE)
    held.look(lambda *_: True)
    assert consumer.asked[4:] == [("resume", 0), ("resume", 1)]
    for pane in (PANE, replace(PANE, stream="of the same reference")):
        with pytest.raises(MessageError, match="reference new, which is missing here") as given_up:
            held.hold(PLACES[0], 17, pane)
        assert given_up.value.reason == "unknown_reference"
    assert len(told) == 4


def test_what_is_given_away_is_waited_for_no_more() -> None:
    held, consumer, told, _ = waiting(patience_s=1e6)
    held.hold(PLACES[0], 17, PANE)
    held.close()
    held.look(lambda *_: False)
    assert ("resume", 0) not in consumer.asked
    assert told[-1] == ReferenceAwaited("a", "new", waiting=False)


def test_readiness_remarks_on_it_and_stays() -> None:
    health = Health([], 1.0)
    health.expect([])
    health(ReferenceAwaited("a", "new", waiting=True))
    fine, words = health.ready()
    assert fine
    assert words["remarks"] == ["stream a: panes wait for reference new, which is missing here"]
    health(ReferenceAwaited("a", "new", waiting=False))
    assert "remarks" not in health.ready()[1]
