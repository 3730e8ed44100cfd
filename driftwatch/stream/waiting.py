"""Pauses partitions of the panes topic until a missing reference arrives: panes are neither lost nor tested wrongly."""

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
"""Requests a version of a stream's reference."""


@dataclass(frozen=True)
class _Wait:
    pane: Pane
    since_s: float


class Waiting:
    """Stops reading partitions at a pane whose reference is missing here, for a limited time.

    Args:
        consumer: of the partitions.
        want: requests references.
        patience_s: returns how long to wait before a pane is given up.
        observer: receives an event when a wait begins or ends.
    """

    def __init__(
        self, consumer: KafkaConsumer, want: Want, patience_s: Callable[[], float], observer: Observer
    ) -> None:
        self._consumer = consumer
        self._want = want
        self._patience_s = patience_s
        self._observe = observer
        self._waits: dict[TopicPartition, _Wait] = {}
        # By version: streams of a partition that share a reference would otherwise each be waited for in turn.
        self._given_up: set[str] = set()

    def hold(self, partition: TopicPartition, offset: int, pane: Pane) -> None:
        """Pause a partition until the reference of the pane at an offset arrives.

        Raises:
            MessageError: that reference was already waited for long enough.
        """
        if pane.reference in self._given_up:
            raise MessageError(
                f"a pane of stream {pane.stream} was scored by reference {pane.reference}, which is missing here",
                reason="unknown_reference",
                remedy="put its bundle beside that of the stream, and send the pane to its topic again",
            )
        log.warning(
            "waiting for a reference",
            stream=pane.stream,
            version=pane.reference,
            partition=partition.partition,
            patience_s=self._patience_s(),
        )
        self._consumer.pause(partition)
        self._consumer.seek(partition, offset)
        self._waits[partition] = _Wait(pane, time.monotonic())
        self._want(pane.stream, pane.reference)
        self._observe(ReferenceAwaited(pane.stream, pane.reference, waiting=True))

    def look(self, lacks: Callable[[TopicPartition, Pane], bool]) -> None:
        """Resume partitions whose reference has arrived, or was waited for long enough."""
        for partition, wait in list(self._waits.items()):
            late = time.monotonic() - wait.since_s > self._patience_s()
            if lacks(partition, wait.pane) and not late:
                continue
            if late:
                self._given_up.add(wait.pane.reference)
            self.forget([partition])
            self._consumer.resume(partition)

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Stop waiting for partitions that were revoked or newly assigned."""
        for partition in partitions:
            if (wait := self._waits.pop(partition, None)) is not None:
                self._observe(ReferenceAwaited(wait.pane.stream, wait.pane.reference, waiting=False))

    def close(self) -> None:
        """Stop waiting."""
        self.forget(list(self._waits))
