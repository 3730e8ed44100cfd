"""Partitions of the panes topic that wait for a reference which is not here yet: neither lost nor wrongly tested."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog
from kafka import KafkaConsumer, TopicPartition

from driftwatch.errors import MessageError
from driftwatch.stream.events import Observer, ReferenceAwaited
from driftwatch.stream.panes import Pane

log = structlog.get_logger("driftwatch.test")

Want = Callable[[str, str], None]
"""Asks that the reference of a stream, of a version, be looked for."""


@dataclass(frozen=True)
class _Wait:
    pane: Pane
    since_s: float


class Waiting:
    """Stops reading partitions at a pane whose reference is not here, for some time at most.

    Args:
        want: asks for references.
        patience_s: tells after how long a pane is given up.
        observer: told of what is waited for.
    """

    def __init__(self, want: Want, patience_s: Callable[[], float], observer: Observer) -> None:
        self._want = want
        self._patience_s = patience_s
        self._observe = observer
        self._waits: dict[TopicPartition, _Wait] = {}
        # By version: streams of a partition that share a reference would otherwise be waited for one after another.
        self._given_up: set[str] = set()

    def hold(self, consumer: KafkaConsumer, place: TopicPartition, offset: int, pane: Pane) -> None:
        """Waits with a partition for the reference of the pane at an offset.

        Raises:
            MessageError: it was waited for long enough.
        """
        if pane.reference in self._given_up:
            raise MessageError(
                f"a pane of stream {pane.stream} was scored by reference {pane.reference}, which is not here",
                reason="unknown_reference",
                remedy="put its bundle beside that of the stream, and send the pane to its topic again",
            )
        log.warning(
            "waiting for a reference",
            stream=pane.stream,
            version=pane.reference,
            partition=place.partition,
            patience_s=self._patience_s(),
        )
        consumer.pause(place)
        consumer.seek(place, offset)
        self._waits[place] = _Wait(pane, time.monotonic())
        self._want(pane.stream, pane.reference)
        self._observe(ReferenceAwaited(pane.stream, pane.reference, waiting=True))

    def look(self, consumer: KafkaConsumer, lacks: Callable[[TopicPartition, Pane], bool]) -> None:
        """Goes on with the partitions whose reference has come, or was waited for long enough."""
        for place, wait in list(self._waits.items()):
            late = time.monotonic() - wait.since_s > self._patience_s()
            if lacks(place, wait.pane) and not late:
                continue
            if late:
                self._given_up.add(wait.pane.reference)
            self.forget([place])
            consumer.resume(place)

    def forget(self, places: Collection[TopicPartition]) -> None:
        """Waits no more with partitions, whoever has them now."""
        for place in places:
            if (wait := self._waits.pop(place, None)) is not None:
                self._observe(ReferenceAwaited(wait.pane.stream, wait.pane.reference, waiting=False))

    def close(self) -> None:
        """Waits for nothing any more."""
        self.forget(list(self._waits))
