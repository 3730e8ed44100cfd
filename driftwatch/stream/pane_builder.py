"""Cuts a partition's samples into panes.

Which samples make a pane depends on the log alone, never on how it was polled. That is why replaying gives the same
panes, windows and alerts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.schema import Coerced
from driftwatch.stream.log import Partition, Record
from driftwatch.stream.panes import RawPane
from driftwatch.stream.positions import Mark, Position, fits
from driftwatch.stream.sampling import ALL, Share

PANE_SPAN = 10_000
"""A pane that would span more messages is closed short. This bounds how much a restart reads again."""


@dataclass(frozen=True)
class _Part:
    """Samples of one message, ``(N, *sample_shape)``, and their indices in it, ``(N,)``."""

    offset: int
    time_ms: int
    samples: Coerced
    rows: NDArray[np.intp]


@dataclass
class _Pending:
    """Samples of one stream in an open pane; `before` samples of their slice are in earlier panes."""

    before: int = 0
    parts: list[_Part] = field(default_factory=list)
    n: int = 0
    trace: str = ""

    @property
    def first(self) -> Mark:
        """The mark of the first sample."""
        return self.parts[0].offset, int(self.parts[0].rows[0])

    def spans(self, time_ms: int, tick_ms: int) -> bool:
        """Whether a sample with this event time would make the pane span more than a tick."""
        times = [time_ms, *(part.time_ms for part in self.parts)]
        return max(times) - min(times) >= tick_ms


class PaneBuilder:
    """Cuts the samples of one partition into panes.

    Args:
        partition: the partition.
        step: samples in a pane.
        position: where an earlier builder of this partition stopped.
        tick_ms: the longest event time that a pane may span, milliseconds; None for no limit.
        committed: whether positions are committed with offsets in Kafka, from where a restart reads again.

    Attributes:
        share: of the messages that is processed; see `set_share`.
        crowded: how many streams had open panes when their positions no longer fitted in an offset's metadata, else 0.
    """

    def __init__(
        self,
        partition: Partition,
        step: int,
        position: Position | None = None,
        tick_ms: int | None = None,
        *,
        committed: bool = True,
    ) -> None:
        self._tick_ms = tick_ms
        self._committed = committed
        self.crowded = 0
        self._begun = dict(position.begun) if position else {}
        self._rest: tuple[str, Mark] | None = None
        self._partition = partition
        self._step = step
        self._resumed = position
        self._next = position.offset if position else 0
        self._seen = position.seen if position else 0
        self.share = position.share if position else ALL
        # Ordered by oldest sample.
        self._pending: OrderedDict[str, _Pending] = OrderedDict()

    def repeated(self, record: Record) -> bool:
        """Whether an earlier builder has processed this message: it is counted, and any dead letter is written."""
        return record.offset < self._seen

    def add(
        self, record: Record, stream: str, samples: Coerced, indices: NDArray[np.intp], trace: str = ""
    ) -> Iterator[RawPane]:
        """Add the samples of one message; yield the panes that they complete.

        After each pane, `position` tells how far the message is processed.

        Args:
            record: the message; messages must come in order of their offsets.
            stream: that it belongs to.
            samples: the watched samples of the message, ``(N, *sample_shape)``.
            indices: their indices in the message, ascending, ``(N,)``.
            trace: context of the message, if its trace is sampled.
        """
        done_offset, done_row = self._done(stream)
        if record.offset < done_offset:
            return
        first = int(np.searchsorted(indices, done_row)) if record.offset == done_offset else 0
        time_ms = record.timestamp_ms
        self.read_to(record.offset + 1)
        self._rest = _rest_of(record, stream, indices, first)
        open_pane = self._pending.get(stream)
        if open_pane and self._tick_ms and first < len(indices) and open_pane.spans(time_ms, self._tick_ms):
            yield self._close(stream, seen_ms=time_ms)
        while first < len(indices):
            pending = self._pending.setdefault(stream, _Pending(self._begun.pop(stream, 0)))
            # A slice that was begun with a larger step may be longer than this one allows.
            taken = slice(first, first + max(1, self._step - pending.before - pending.n))
            part = _Part(record.offset, time_ms, samples[taken], indices[taken])
            pending.parts.append(part)
            pending.n += len(part.rows)
            pending.trace = trace or pending.trace
            first += len(part.rows)
            self._rest = _rest_of(record, stream, indices, first)
            if pending.before + pending.n >= self._step:
                yield self._close(stream)

    @property
    def may_pause(self) -> bool:
        """Whether samples of a message are in no pane yet, and a position before them can be committed."""
        return self._rest is not None and fits(self.position())

    def advance(self, record: Record) -> Iterator[RawPane]:
        """Mark a message as processed; return the panes that must be closed short now."""
        self.read_to(record.offset + 1)
        while self._pending and self._committed:
            oldest = next(iter(self._pending))
            reach = self._next - self._pending[oldest].first[0]
            if reach <= PANE_SPAN:
                if fits(self.position()):
                    return
                self.crowded = self.crowded or len(self._pending)
            yield self._close(oldest)

    def set_share(self, share: Share) -> Iterator[RawPane]:
        """Process another share of the messages from now on; closes open panes, since a pane has one share."""
        while self._pending:
            yield self._close(next(iter(self._pending)))
        self.share = share

    def read_to(self, end: int) -> None:
        """Mark all messages before an offset as read."""
        self._next = max(self._next, end)

    def close(self, stream: str) -> RawPane | None:
        """Close the open pane of a stream short; None if none is open."""
        return self._close(stream) if stream in self._pending else None

    def position(self) -> Position:
        """Where a later builder must resume so that no sample is lost or used twice."""
        marks = {stream: pending.first for stream, pending in self._pending.items()}
        begun = {stream: pending.before for stream, pending in self._pending.items() if pending.before}
        if self._rest is not None:
            stream, mark = self._rest
            marks.setdefault(stream, mark)
            if stream in self._begun:
                begun[stream] = self._begun[stream]
        seen = max(self._next, self._seen)
        if self._resumed is not None and self._next < self._seen:
            # Not yet back where the earlier builder stopped: its marks still hold for messages not read again, even
            # for streams whose panes were closed short since.
            marks = {**{s: max(m, (self._next, 0)) for s, m in self._resumed.marks.items()}, **marks}
            begun = {**{s: n for s, n in self._begun.items() if s in marks}, **begun}
        offset = min((mark[0] for mark in marks.values()), default=self._next)
        return Position(min(offset, self._next), seen, marks, self.share, begun)

    def _done(self, stream: str) -> Mark:
        """Samples before this mark are in panes already."""
        if self._resumed is None:
            return (0, 0)
        return self._resumed.marks.get(stream, (self._resumed.seen, 0))

    def _close(self, stream: str, *, seen_ms: int | None = None) -> RawPane:
        """Close the open pane of a stream; `seen_ms` is given if its slice continues in the next pane."""
        pending = self._pending.pop(stream)
        parts, unfinished = pending.parts, seen_ms is not None
        if unfinished:
            self._begun[stream] = pending.before + pending.n
        return RawPane(
            stream=stream,
            samples=_joined([part.samples for part in parts]),
            start_ms=min(part.time_ms for part in parts),
            end_ms=max(part.time_ms for part in parts),
            topic=self._partition[0],
            partition=self._partition[1],
            offsets=np.repeat([part.offset for part in parts], [len(part.rows) for part in parts]),
            rows=_joined([part.rows for part in parts]),
            trace=pending.trace,
            share=self.share,
            unfinished=unfinished,
            seen_ms=seen_ms,
        )


def _rest_of(record: Record, stream: str, indices: NDArray[np.intp], first: int) -> tuple[str, Mark] | None:
    """The stream of a message, and the mark of its first sample that is in no pane; None if there is none."""
    return (stream, (record.offset, int(indices[first]))) if first < len(indices) else None


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Concatenate; a single array, the usual case, is not copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
