"""How far a partition is read, to the sample: an offset, and in its metadata what of the messages after it is done.

Panes seldom end where messages do. The committed offset is that of the oldest message with a sample that waits for
its pane; which later samples are in panes already goes into the metadata that Kafka keeps beside an offset, so one
transaction commits panes and exact position together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from driftwatch.errors import SourceError
from driftwatch.stream.formats import require_format
from driftwatch.stream.sampling import ALL, Share

Mark = tuple[int, int]
"""A sample's place in a partition: the offset of its message, and its index in it."""

FORMAT = 2
"""Of the metadata, under ``format``; the first has no number in it, and is written where it will do."""

METADATA_LIMIT = 4_000
"""Bytes of metadata; Kafka keeps at most 4,096 beside an offset by default (``offset.metadata.max.bytes``)."""

ENTRY_BYTES = 20
"""What one mark takes beside its stream's name: brackets, two numbers of up to six digits, commas."""

BEGUN_BYTES = 7
"""And how many samples of its slice are in panes already."""


@dataclass(frozen=True)
class Position:
    """Where a later reader must take up.

    Args:
        offset: of the first message to read.
        seen: messages before this one were taken in; their samples are in panes, except from the marks on.
        marks: for each stream with samples that wait, the first of them.
        share: of the messages that is looked at.
        begun: for each of these whose slice has begun, how many of its samples are in panes already.
    """

    offset: int
    seen: int
    marks: Mapping[str, Mark] = field(default_factory=dict)
    share: Share = ALL
    begun: Mapping[str, int] = field(default_factory=dict)

    def within(self, begin: int, end: int) -> Position:
        """The position in a log that reaches from `begin` to `end` by now; what waited outside of it is gone."""
        seen = min(max(self.seen, begin), end)
        marks = {stream: max(mark, (begin, 0)) for stream, mark in self.marks.items()}
        kept = {stream: mark for stream, mark in marks.items() if mark[0] < seen}
        offset = min((mark[0] for mark in kept.values()), default=seen)
        begun = self.begun if begin <= self.offset and self.seen <= end else {}
        return replace(self, offset=min(max(self.offset, begin), offset), seen=seen, marks=kept, begun=begun)

    def metadata(self) -> str:
        """The text to commit beside the offset."""
        if not self.marks and self.seen == self.offset and self.share == ALL:
            return ""
        marks = {
            stream: [offset - self.offset, index, *([self.begun[stream]] if stream in self.begun else [])]
            for stream, (offset, index) in sorted(self.marks.items())
        }
        told: dict[str, Any] = {"format": FORMAT} if self.begun else {}
        told |= {"seen": self.seen - self.offset, "marks": marks}
        if self.share != ALL:
            told["share"] = [self.share.part, self.share.since]
        return orjson.dumps(told).decode()


def fits(position: Position) -> bool:
    """Whether the metadata is short enough to be committed; quick, and on the safe side."""
    size = sum(len(stream.encode()) + ENTRY_BYTES for stream in position.marks) + BEGUN_BYTES * len(position.begun)
    return size < METADATA_LIMIT - 100


def parse_position(offset: int, metadata: str) -> Position:
    """The inverse of `Position.metadata`.

    Raises:
        SourceError: another program has committed to this group, or a newer driftwatch.
    """
    if not metadata:
        return Position(offset, offset)
    try:
        stored = orjson.loads(metadata)
        require_format(stored.get("format", 1), FORMAT, what=f"the position at offset {offset}", where="source.group")
        told = {str(stream): list(map(int, mark)) for stream, mark in stored["marks"].items()}
        marks = {stream: (offset + mark[0], mark[1]) for stream, mark in told.items()}
        begun = {stream: mark[2] for stream, mark in told.items() if len(mark) > 2}
        part, since = stored.get("share", (ALL.part, ALL.since))
        return Position(offset, offset + int(stored["seen"]), marks, Share(float(part), int(since)), begun)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise SourceError(
            f"offset {offset} was committed with metadata that is not driftwatch's: {metadata[:80]!r}",
            where="source.group",
            remedy="give driftwatch a consumer group of its own",
        ) from None
