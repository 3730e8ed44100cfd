"""Gaps: messages that were gone before they were read, and how they are reported.

A gap is recorded in the transaction that moves the committed offset past it, so it is reported exactly once: in the
dead-letter topic, for people, and in every partition of the panes topic, where windows restart at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import orjson
from kafka.partitioner.default import murmur2

from driftwatch.config import KafkaSource
from driftwatch.errors import MessageError
from driftwatch.stream.dead_letters import origin_headers
from driftwatch.stream.events import MessagesGone
from driftwatch.stream.formats import require_format
from driftwatch.stream.log import Outgoing, Partition
from driftwatch.stream.positions import Position

_BEGINNING = b'{"gap":'
FORMAT = 1

Why = Literal["retention", "truncation"]
"""Retention: the log begins after the next offset to be read. Truncation: it ends before that offset."""


@dataclass(frozen=True)
class Gap:
    """Offsets ``[first, next)`` of a partition whose messages are gone.

    Args:
        topic: where they are missing.
        partition: of the topic.
        first: the first missing offset.
        next: the first offset after the gap.
        why: the cause. In a truncation, the brokers have lost messages that were read already.
    """

    topic: str
    partition: int
    first: int
    next: int
    why: Why

    @property
    def topic_partition(self) -> Partition:
        """The partition where the messages are missing."""
        return self.topic, self.partition

    @property
    def count(self) -> int:
        """Number of offsets; there may be fewer messages, since transaction markers take offsets too."""
        return self.next - self.first

    @property
    def event(self) -> MessagesGone:
        """The event that reports it."""
        return MessagesGone(self.topic, self.partition, self.first, self.count, self.why)

    def letter(self, source: KafkaSource) -> Outgoing:
        """The dead letter that stands for the missing messages."""
        error = f"offsets {self.first} to {self.next - 1} were gone before they were read: {self.why}"
        headers = origin_headers("gone", error, self.topic_partition, self.first, count=self.count)
        return Outgoing(source.topics.dead_letters, None, b"", headers=headers)


def find_gap(partition: Partition, position: Position, begin: int, end: int) -> Gap | None:
    """The gap in a partition that is resumed at a position and whose log now spans `begin` to `end`; None if none."""
    if position.offset < begin:
        return Gap(*partition, position.offset, begin, "retention")
    if position.seen > end:
        return Gap(*partition, end, position.seen, "truncation")
    return None


def is_gap(value: bytes) -> bool:
    """Whether a message of the panes log is a gap rather than a pane."""
    return value.startswith(_BEGINNING)


def encode_gap(gap: Gap) -> bytes:
    """The message for a gap, a line of JSON."""
    return orjson.dumps({"gap": FORMAT, **vars(gap)})


def decode_gap(value: bytes) -> Gap:
    """The inverse of `encode_gap`.

    Raises:
        MessageError: the bytes are not a gap.
        NewerFormatError: a newer driftwatch wrote them.
    """
    try:
        fields = orjson.loads(value)
        require_format(fields["gap"], FORMAT, what="a gap", where="panes log")
        if fields["why"] not in get_args(Why):
            raise MessageError(f"is a gap with an unknown cause: {fields['why']!r}", reason="malformed")
        return Gap(
            str(fields["topic"]), int(fields["partition"]), int(fields["first"]), int(fields["next"]), fields["why"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise MessageError(f"is not a gap: {error}", reason="malformed") from None


def home(stream: str, partitions: int) -> int:
    """The partition for a stream's panes and state: the one that Kafka's clients choose for the stream as key.

    `partitions` is that of the state topic, not the panes topic: if partitions are added to the panes topic of a
    running daemon, each stream's panes still stay in order.
    """
    hashed: int = murmur2(stream.encode())
    return (hashed & 0x7FFFFFFF) % partitions
