"""Messages that were gone before they were read: what is told of them, and where.

A gap is written down in the transaction that moves the committed offset over it, so it is told exactly once: in the
dead-letter topic, for people; and in every partition of the panes topic, where windows end at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import orjson
from kafka.partitioner.default import murmur2

from driftwatch.config import KafkaSource
from driftwatch.errors import MessageError
from driftwatch.stream.formats import require_format
from driftwatch.stream.log import Partition
from driftwatch.stream.positions import Position
from driftwatch.stream.transaction import Outgoing

_BEGINNING = b'{"gap":'
FORMAT = 1

Why = Literal["retention", "truncation"]
"""The log begins after the offset that was to be read next, or ends before it."""


@dataclass(frozen=True)
class Gap:
    """Offsets ``[first, next)`` of a partition whose messages are gone.

    Args:
        topic: that lacks them.
        partition: of the topic.
        first: the first of them.
        next: the first after them.
        why: they are gone. After a truncation messages were read that the brokers have lost since.
    """

    topic: str
    partition: int
    first: int
    next: int
    why: Why

    @property
    def place(self) -> Partition:
        """The partition that lacks them."""
        return self.topic, self.partition

    @property
    def count(self) -> int:
        """How many offsets; of messages there may be fewer, since transactions take offsets too."""
        return self.next - self.first

    def letter(self, source: KafkaSource) -> Outgoing:
        """What the dead-letter topic holds in place of the messages."""
        told = {
            "driftwatch-reason": "gone",
            "driftwatch-error": f"offsets {self.first} to {self.next - 1} were gone before they were read: {self.why}",
            "driftwatch-topic": self.topic,
            "driftwatch-partition": str(self.partition),
            "driftwatch-offset": str(self.first),
            "driftwatch-count": str(self.count),
        }
        headers = tuple((name, text.encode()) for name, text in told.items())
        return Outgoing(source.topics.dead_letters, None, b"", headers=headers)


def find_gap(place: Partition, position: Position, begin: int, end: int) -> Gap | None:
    """What is gone of a partition that is taken up at a position, where its log reaches from `begin` to `end`."""
    if position.offset < begin:
        return Gap(*place, position.offset, begin, "retention")
    if position.seen > end:
        return Gap(*place, end, position.seen, "truncation")
    return None


def is_gap(value: bytes) -> bool:
    """Whether a message of the panes log is a gap, and no pane."""
    return value.startswith(_BEGINNING)


def encode_gap(gap: Gap) -> bytes:
    """A line of JSON."""
    return orjson.dumps({"gap": FORMAT, **vars(gap)})


def decode_gap(value: bytes) -> Gap:
    """The inverse of `encode_gap`.

    Raises:
        MessageError: it is none.
        NewerFormatError: a newer driftwatch wrote it.
    """
    try:
        told = orjson.loads(value)
        require_format(told["gap"], FORMAT, what="a gap", where="panes log")
        if told["why"] not in get_args(Why):
            raise MessageError(f"is a gap for no known reason: {told['why']!r}", reason="malformed")
        return Gap(str(told["topic"]), int(told["partition"]), int(told["first"]), int(told["next"]), told["why"])
    except (ValueError, KeyError, TypeError) as error:
        raise MessageError(f"is no gap: {error}", reason="malformed") from None


def home(stream: str, partitions: int) -> int:
    """The partition that a stream's panes and its state belong to, as Kafka's clients choose it by the key.

    It is chosen by the number of partitions of the state topic, not by that of the panes topic: should somebody add
    partitions to the panes topic of a running daemon, each stream's panes still follow one another.
    """
    hashed: int = murmur2(stream.encode())
    return (hashed & 0x7FFFFFFF) % partitions
