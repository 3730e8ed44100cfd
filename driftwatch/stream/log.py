"""Messages of a log as they are read and written, independent of the kind of log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from driftwatch.data.event_times import EARLIEST_MS, LATEST_MS
from driftwatch.errors import MessageError

Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""

UNTIMED_MS = 30 * 365 * 86_400_000
"""No message is that old when it is read: its time is 0, -1, or in seconds, from a program that does not know it."""


@dataclass(frozen=True)
class Record:
    """A message as it was read.

    Args:
        topic: that it came from.
        partition: of the topic.
        offset: of the message in the partition.
        timestamp_ms: event time, milliseconds since the epoch.
        key: of the message.
        value: its body.
        headers: in order; names may repeat.
        refused: why the message could not be read, in which case only its offset is known; else None.
        tombstone: whether it has no value, which deletes its key from a compacted topic.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    refused: MessageError | None = None
    tombstone: bool = False

    @property
    def size(self) -> int:
        """Bytes of key, body and headers."""
        return len(self.key or b"") + len(self.value) + sum(len(name) + len(value) for name, value in self.headers)

    @property
    def topic_partition(self) -> Partition:
        """The partition that it came from."""
        return self.topic, self.partition

    @cached_property
    def header(self) -> Mapping[str, bytes]:
        """Headers by lower-case name; the last one wins where a name repeats."""
        return {name.lower(): value for name, value in self.headers}


@dataclass(frozen=True)
class Outgoing:
    """A message to be written in a transaction.

    Its timestamp is the time of writing, because retention is based on it: messages about old events must not be
    deleted at once.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Sequence[tuple[str, bytes]] = ()


def event_time(time_ms: int) -> int:
    """Limit an event time, which may come from a clock that is wrong by any amount, to the range of RFC 3339.

    >>> event_time(1 << 62) == LATEST_MS
    True
    """
    return min(max(time_ms, EARLIEST_MS), LATEST_MS)


def believed(time_ms: int, read_ms: int) -> int:
    """An event time; if it cannot be right (see `UNTIMED_MS`), when the message was read or logged.

    >>> believed(0, 1_800_000_000_000), believed(1_799_999_999_000, 1_800_000_000_000)
    (1800000000000, 1799999999000)
    """
    return read_ms if read_ms - time_ms > UNTIMED_MS else time_ms
