"""How far a partition is read, to the sample: an offset, and metadata on the samples after it that are done.

Panes seldom end where messages do. The committed offset is that of the oldest message with a sample in an open pane;
the metadata that Kafka stores with an offset says which later samples are in closed panes. So one transaction commits
panes and the exact position together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from driftwatch.errors import SourceError
from driftwatch.stream.formats import require_format
from driftwatch.stream.sampling import ALL, Share
from driftwatch.stream.topic_identity import FIELD

Mark = tuple[int, int]
"""A sample's place in a partition: the offset of its message, and its index in the message."""

FORMAT = 2
"""Format of the metadata; format 1 carries no number, and is still written where it suffices."""

METADATA_LIMIT = 4_000
"""Bytes of metadata; by default Kafka stores at most 4,096 with an offset (``offset.metadata.max.bytes``)."""

ENTRY_BYTES = 20
"""What a mark takes in addition to its stream's name: brackets, two numbers of up to six digits, commas."""

BEGUN_BYTES = 7
"""What the number of samples already in panes takes, in addition, for a slice that has begun."""


@dataclass(frozen=True)
class Position:
    """Where a later reader must resume.

    Args:
        offset: of the first message to read.
        seen: messages before this one were read; their samples are in panes, except those from the marks on.
        marks: for each stream with an open pane, the first sample in it.
        share: of the messages that is processed.
        begun: for each such stream whose slice began in an earlier pane, how many of its samples are in panes.
    """

    offset: int
    seen: int
    marks: Mapping[str, Mark] = field(default_factory=dict)
    share: Share = ALL
    begun: Mapping[str, int] = field(default_factory=dict)

    def within(self, begin: int, end: int) -> Position:
        """The position limited to a log that now spans `begin` to `end`; what lay outside is gone."""
        seen = min(max(self.seen, begin), end)
        marks = {stream: max(mark, (begin, 0)) for stream, mark in self.marks.items()}
        kept = {stream: mark for stream, mark in marks.items() if mark[0] < seen}
        offset = min((mark[0] for mark in kept.values()), default=seen)
        begun = self.begun if begin <= self.offset and self.seen <= end else {}
        return replace(self, offset=min(max(self.offset, begin), offset), seen=seen, marks=kept, begun=begun)

    def metadata(self, identity: str = "") -> str:
        """The metadata to commit with the offset; see `topic_identity` for the identity of a topic."""
        if not self.marks and self.seen == self.offset and self.share == ALL and not identity:
            return ""
        marks = {
            stream: [offset - self.offset, index, *([self.begun[stream]] if stream in self.begun else [])]
            for stream, (offset, index) in sorted(self.marks.items())
        }
        fields: dict[str, Any] = {"format": FORMAT} if self.begun else {}
        fields |= {"seen": self.seen - self.offset, "marks": marks}
        if self.share != ALL:
            fields["share"] = [self.share.part, self.share.since]
        if identity:
            fields[FIELD] = identity
        return orjson.dumps(fields).decode()


START = Position(0, 0)
"""Before the first message."""


def fits(position: Position) -> bool:
    """Whether the metadata is short enough to be committed; a fast, conservative estimate."""
    size = sum(len(stream.encode()) + ENTRY_BYTES for stream in position.marks) + BEGUN_BYTES * len(position.begun)
    return size < METADATA_LIMIT - 140


def parse_position(offset: int, metadata: str) -> Position:
    """The inverse of `Position.metadata`.

    Raises:
        SourceError: another program, or a newer driftwatch, has committed to this group.
    """
    if not metadata:
        return Position(offset, offset)
    try:
        stored = orjson.loads(metadata)
        require_format(stored.get("format", 1), FORMAT, what=f"the position at offset {offset}", where="source.group")
        fields = {str(stream): list(map(int, mark)) for stream, mark in stored["marks"].items()}
        marks = {stream: (offset + mark[0], mark[1]) for stream, mark in fields.items()}
        begun = {stream: mark[2] for stream, mark in fields.items() if len(mark) > 2}
        part, since = stored.get("share", (ALL.part, ALL.since))
        return Position(offset, offset + int(stored["seen"]), marks, Share(float(part), int(since)), begun)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise SourceError(
            f"offset {offset} was committed with metadata that driftwatch did not write: {metadata[:80]!r}",
            where="source.group",
            remedy="use a consumer group for driftwatch alone",
        ) from None
