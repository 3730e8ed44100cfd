"""One message of a log, whatever the log is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from driftwatch.errors import MessageError

Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""

EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999, all that RFC 3339 can tell; Kafka takes any number for a time."""


@dataclass(frozen=True)
class Record:
    """A message as it came.

    Args:
        topic: it came from.
        partition: of the topic.
        offset: its place in the partition.
        timestamp_ms: event time, milliseconds since the epoch.
        key: of the message.
        value: its body.
        headers: in their order; a name may repeat.
        refused: why there is no more of it than its place; None of a message that could be read.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    refused: MessageError | None = None

    @property
    def size(self) -> int:
        """Bytes of key, body and headers."""
        return len(self.key or b"") + len(self.value) + sum(len(name) + len(value) for name, value in self.headers)

    @property
    def place(self) -> Partition:
        """The partition it came from."""
        return self.topic, self.partition

    @cached_property
    def header(self) -> Mapping[str, bytes]:
        """Headers by name in lower case; of a repeated name the last."""
        return {name.lower(): value for name, value in self.headers}


def event_time(told_ms: int) -> int:
    """An event time as it was told by a clock that may be wrong beyond all bounds, brought within those of RFC 3339.

    >>> event_time(1 << 62) == LATEST_MS
    True
    """
    return min(max(told_ms, EARLIEST_MS), LATEST_MS)
