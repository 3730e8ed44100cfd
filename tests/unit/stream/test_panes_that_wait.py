"""Panes whose reference is missing here: their partition waits, for a while."""

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
    """A consumer that records calls."""

    calls: list[Any] = field(default_factory=list)

    def pause(self, place: TopicPartition) -> None:
        self.calls.append(("pause", place.partition))

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.calls.append(("seek", place.partition, offset))

    def resume(self, place: TopicPartition) -> None:
        self.calls.append(("resume", place.partition))


def waiting(patience_s: float) -> tuple[Waiting, Consumer, list[Event], list[tuple[str, str]]]:
    events: list[Event] = []
    wanted: list[tuple[str, str]] = []
    consumer = Consumer()
    kafka = cast("KafkaConsumer", consumer)
    pending = Waiting(kafka, lambda *wants: wanted.append(wants), lambda: patience_s, events.append)
    return pending, consumer, events, wanted


def test_a_partition_waits_at_its_position_until_the_reference_is_loaded() -> None:
    pending, consumer, events, wanted = waiting(patience_s=1e6)
    pending.hold(PLACES[1], 17, PANE)
    assert consumer.calls == [("pause", 1), ("seek", 1, 17)]
    assert wanted == [("a", "new")]
    pending.look(lambda *_: True)
    assert events == [ReferenceAwaited("a", "new", waiting=True)]
    pending.look(lambda *_: False)
    assert consumer.calls[2:] == [("resume", 1)]
    assert events[1:] == [ReferenceAwaited("a", "new", waiting=False)]


def test_after_a_while_panes_of_that_reference_are_given_up() -> None:
    pending, consumer, events, _ = waiting(patience_s=0)
    for place in PLACES:
        pending.hold(place, 17, PANE)
    pending.look(lambda *_: True)
    assert consumer.calls[4:] == [("resume", 0), ("resume", 1)]
    for pane in (PANE, replace(PANE, stream="of the same reference")):
        with pytest.raises(MessageError, match="reference new, which is missing here") as given_up:
            pending.hold(PLACES[0], 17, pane)
        assert given_up.value.reason == "unknown_reference"
    assert len(events) == 4


def test_a_revoked_partition_is_no_longer_waited_for() -> None:
    pending, consumer, events, _ = waiting(patience_s=1e6)
    pending.hold(PLACES[0], 17, PANE)
    pending.close()
    pending.look(lambda *_: False)
    assert ("resume", 0) not in consumer.calls
    assert events[-1] == ReferenceAwaited("a", "new", waiting=False)


def test_waiting_is_a_remark_and_does_not_affect_readiness() -> None:
    health = Health([], 1.0)
    health.expect([])
    health(ReferenceAwaited("a", "new", waiting=True))
    fine, detail = health.ready()
    assert fine
    assert detail["remarks"] == ["stream a: panes wait for reference new, which is missing here"]
    health(ReferenceAwaited("a", "new", waiting=False))
    assert "remarks" not in health.ready()[1]
