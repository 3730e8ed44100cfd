"""Cuts a partition's samples into panes.

Which samples make a pane is a function of the log alone, never of how it happened to be polled: that is why
replaying gives the same panes, windows and alerts.
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
"""A pane that would reach over more messages is closed short: it bounds what a restart reads again."""


@dataclass(frozen=True)
class _Part:
    """Samples of one message, ``(N, *sample_shape)``, and their indices in it, ``(N,)``."""

    offset: int
    time_ms: int
    samples: Coerced
    rows: NDArray[np.intp]


@dataclass
class _Pending:
    """Samples of one stream that wait for their pane to be full; `before` them, so many of their slice are in panes."""

    before: int = 0
    parts: list[_Part] = field(default_factory=list)
    n: int = 0
    trace: str = ""

    @property
    def first(self) -> Mark:
        """Of the first sample."""
        return self.parts[0].offset, int(self.parts[0].rows[0])

    def spans(self, time_ms: int, tick_ms: int) -> bool:
        """Whether it would span more than a tick with a sample of that event time."""
        times = [time_ms, *(part.time_ms for part in self.parts)]
        return max(times) - min(times) >= tick_ms


class PaneBuilder:
    """Cuts the samples of one partition into panes.

    Args:
        place: the partition.
        step: samples in a pane.
        position: where an earlier builder of this partition stopped.
        tick_ms: the most of event time that a pane may span, milliseconds; None for any.
        committed: whether the position goes beside an offset in Kafka, and a restart reads from there again.

    Attributes:
        share: of the messages that is looked at; what is changed by `look_at`.
        crowded: how many streams had open panes when their positions did not fit beside an offset; 0 while they do.
    """

    def __init__(
        self,
        place: Partition,
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
        self._place = place
        self._step = step
        self._resumed = position
        self._next = position.offset if position else 0
        self._seen = position.seen if position else 0
        self.share = position.share if position else ALL
        # In the order in which their oldest sample came, so that the first is always the oldest.
        self._pending: OrderedDict[str, _Pending] = OrderedDict()

    def repeated(self, record: Record) -> bool:
        """Whether an earlier builder has taken this message in: counted, and sent to the dead letters if bad."""
        return record.offset < self._seen

    def add(
        self, record: Record, stream: str, samples: Coerced, indices: NDArray[np.intp], trace: str = ""
    ) -> Iterator[RawPane]:
        """Takes the samples of one message, and gives the panes that they complete.

        Args:
            record: the message; messages must come in order of their offsets.
            stream: it belongs to.
            samples: of the message that are watched, ``(N, *sample_shape)``.
            indices: their indices in the message, ascending, ``(N,)``.
            trace: context of the message, if its trace is sampled.
        """
        done_offset, done_row = self._done(stream)
        if record.offset < done_offset:
            return
        first = int(np.searchsorted(indices, done_row)) if record.offset == done_offset else 0
        time_ms = record.timestamp_ms
        waiting = self._pending.get(stream)
        if waiting and self._tick_ms and first < len(indices) and waiting.spans(time_ms, self._tick_ms):
            yield self._close(stream, seen_ms=time_ms)
        while first < len(indices):
            pending = self._pending.setdefault(stream, _Pending(self._begun.pop(stream, 0)))
            taken = slice(first, first + self._step - pending.before - pending.n)
            part = _Part(record.offset, time_ms, samples[taken], indices[taken])
            pending.parts.append(part)
            pending.n += len(part.rows)
            pending.trace = trace or pending.trace
            first += len(part.rows)
            if pending.before + pending.n == self._step:
                yield self._close(stream)

    def passed(self, record: Record) -> Iterator[RawPane]:
        """Notes that a message is dealt with, and gives the panes that it is time to close short."""
        self.read_to(record.offset + 1)
        while self._pending and self._committed:
            oldest = next(iter(self._pending))
            reach = self._next - self._pending[oldest].first[0]
            if reach <= PANE_SPAN:
                if fits(self.position()):
                    return
                self.crowded = self.crowded or len(self._pending)
            yield self._close(oldest)

    def look_at(self, share: Share) -> Iterator[RawPane]:
        """Looks at another share of the messages from now on; no pane holds samples of two."""
        while self._pending:
            yield self._close(next(iter(self._pending)))
        self.share = share

    def read_to(self, end: int) -> None:
        """Notes that all messages before an offset are dealt with."""
        self._next = max(self._next, end)

    def close(self, stream: str) -> RawPane | None:
        """The open pane of a stream, closed short; None if none is open."""
        return self._close(stream) if stream in self._pending else None

    def position(self) -> Position:
        """From where on a later builder must read so that no sample is lost or used twice."""
        marks = {stream: pending.first for stream, pending in self._pending.items()}
        begun = {stream: pending.before for stream, pending in self._pending.items() if pending.before}
        seen = max(self._next, self._seen)
        if self._resumed is not None and self._next < self._seen:
            # Not yet back where the earlier builder stopped: its own marks still hold for what was not read again, also
            # of a stream whose pane was closed short meanwhile.
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
        """The pane of what waits; its slice goes on if a sample of another time has closed it."""
        pending = self._pending.pop(stream)
        parts, unfinished = pending.parts, seen_ms is not None
        if unfinished:
            self._begun[stream] = pending.before + pending.n
        return RawPane(
            stream=stream,
            samples=_joined([part.samples for part in parts]),
            start_ms=min(part.time_ms for part in parts),
            end_ms=max(part.time_ms for part in parts),
            topic=self._place[0],
            partition=self._place[1],
            offsets=np.repeat([part.offset for part in parts], [len(part.rows) for part in parts]),
            rows=_joined([part.rows for part in parts]),
            trace=pending.trace,
            share=self.share,
            unfinished=unfinished,
            seen_ms=seen_ms,
        )


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One after another; mostly there is one alone, which is not copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
