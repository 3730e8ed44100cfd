"""Panes: exactly `step` consecutive samples of one stream in one partition, and the additive summary of them.

Which samples make a pane is a function of the log alone, never of how it happened to be polled: that is why
replaying gives the same panes, windows and alerts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from driftwatch.reference.scoring import ScoredPane
from driftwatch.stats.summary import Array
from driftwatch.stream.alert import Example, Examples
from driftwatch.stream.examples import Candidate, ExampleRule
from driftwatch.stream.log import Partition, Record
from driftwatch.stream.positions import Mark, Position, fits
from driftwatch.stream.sampling import ALL, Share

PANE_SPAN = 10_000
"""A pane that would reach over more messages is closed short: it bounds what a restart reads again."""


@dataclass(frozen=True)
class Pane:
    """The summary of a slice of a stream.

    Args:
        stream: its name.
        reference: version of the reference that scored it.
        n: samples in it.
        summary: their summed summary, ``(V,)``.
        start_ms: event time of the oldest sample, milliseconds since the epoch.
        end_ms: event time of the newest.
        topic: the samples came from.
        partition: of the topic.
        first: offset and index in the message of the first sample.
        last: of the last sample.
        candidates: its samples that may be the nearest or farthest of a window, the farthest first.
        grades: how surprising each sample is, ``(n,)``, in their order.
        trace: context of the newest of its messages that is part of a sampled trace; empty if none is.
        share: of the messages that was looked at.
    """

    stream: str
    reference: str
    n: int
    summary: Array
    start_ms: int
    end_ms: int
    topic: str
    partition: int
    first: Mark
    last: Mark
    candidates: tuple[Candidate, ...] = ()
    grades: tuple[int, ...] = ()
    trace: str = ""
    share: Share = ALL

    @property
    def place(self) -> Partition:
        """The partition that the samples came from."""
        return self.topic, self.partition


@dataclass(frozen=True)
class RawPane:
    """A complete slice of a stream that is not scored yet.

    Args:
        stream: its name.
        samples: ``(n, *sample_shape)``.
        start_ms: event time of the oldest sample, milliseconds since the epoch.
        end_ms: event time of the newest.
        topic: the samples came from.
        partition: of the topic.
        offsets: of the samples' messages, ``(n,)``.
        rows: the samples' indices in their messages, ``(n,)``.
        trace: see `Pane`.
        share: likewise.
    """

    stream: str
    samples: NDArray[np.floating]
    start_ms: int
    end_ms: int
    topic: str
    partition: int
    offsets: NDArray[np.int64]
    rows: NDArray[np.intp]
    trace: str = ""
    share: Share = ALL

    def mark(self, place: int) -> Mark:
        """Of one of the samples."""
        return int(self.offsets[place]), int(self.rows[place])

    @property
    def first(self) -> Mark:
        """Of the first sample."""
        return self.mark(0)

    @property
    def last(self) -> Mark:
        """Of the last sample."""
        return self.mark(-1)


@dataclass(frozen=True)
class _Part:
    """Samples of one message, ``(N, *sample_shape)``, and their indices in it, ``(N,)``."""

    offset: int
    time_ms: int
    samples: NDArray[np.floating]
    rows: NDArray[np.intp]


@dataclass
class _Pending:
    """Samples of one stream that wait for their pane to be full."""

    parts: list[_Part] = field(default_factory=list)
    n: int = 0
    trace: str = ""

    @property
    def first(self) -> Mark:
        """Of the first sample."""
        return self.parts[0].offset, int(self.parts[0].rows[0])


class PaneBuilder:
    """Cuts the samples of one partition into panes.

    Args:
        place: the partition.
        step: samples in a pane.
        position: where an earlier builder of this partition stopped.

    Attributes:
        share: of the messages that is looked at; what is changed by `look_at`.
    """

    def __init__(self, place: Partition, step: int, position: Position | None = None) -> None:
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
        self, record: Record, stream: str, samples: NDArray[np.floating], indices: NDArray[np.intp], trace: str = ""
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
        while first < len(indices):
            pending = self._pending.setdefault(stream, _Pending())
            taken = slice(first, first + self._step - pending.n)
            part = _Part(record.offset, record.timestamp_ms, samples[taken], indices[taken])
            pending.parts.append(part)
            pending.n += len(part.rows)
            pending.trace = trace or pending.trace
            first += len(part.rows)
            if pending.n == self._step:
                yield self._close(stream)

    def passed(self, record: Record) -> Iterator[RawPane]:
        """Notes that a message is dealt with, and gives the panes that it is time to close short."""
        self.read_to(record.offset + 1)
        while self._pending:
            oldest = next(iter(self._pending))
            reach = self._next - self._pending[oldest].first[0]
            if reach <= PANE_SPAN and fits(self.position()):
                return
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
        seen = max(self._next, self._seen)
        if self._resumed is not None and self._next < self._seen:
            # Not yet back where the earlier builder stopped: its own marks still hold for what was not read again, also
            # of a stream whose pane was closed short meanwhile.
            marks = {**{s: max(m, (self._next, 0)) for s, m in self._resumed.marks.items()}, **marks}
        offset = min((mark[0] for mark in marks.values()), default=self._next)
        return Position(min(offset, self._next), seen, marks, self.share)

    def _done(self, stream: str) -> Mark:
        """Samples before this mark are in panes already."""
        if self._resumed is None:
            return (0, 0)
        return self._resumed.marks.get(stream, (self._resumed.seen, 0))

    def _close(self, stream: str) -> RawPane:
        pending = self._pending.pop(stream)
        parts = pending.parts
        return RawPane(
            stream=stream,
            samples=np.concatenate([part.samples for part in parts]),
            start_ms=min(part.time_ms for part in parts),
            end_ms=max(part.time_ms for part in parts),
            topic=self._place[0],
            partition=self._place[1],
            offsets=np.repeat([part.offset for part in parts], [len(part.rows) for part in parts]),
            rows=np.concatenate([part.rows for part in parts]),
            trace=pending.trace,
            share=self.share,
        )


def pane_of(raw: RawPane, reference: str, scored: ScoredPane, candidates: tuple[Candidate, ...] = ()) -> Pane:
    """A scored pane."""
    return Pane(
        stream=raw.stream,
        reference=reference,
        n=len(raw.samples),
        summary=scored.summary,
        start_ms=raw.start_ms,
        end_ms=raw.end_ms,
        topic=raw.topic,
        partition=raw.partition,
        first=raw.first,
        last=raw.last,
        grades=tuple(scored.grades.tolist()),
        candidates=candidates,
        trace=raw.trace,
        share=raw.share,
    )


def examples_of(window: Sequence[Pane], rule: ExampleRule) -> Examples | None:
    """The samples of a window that are farthest from the reference, and nearest to it; None if none are wanted.

    Of equal scores the one that came first in the log is taken first.
    """
    found = [
        Example(pane.topic, pane.partition, *each.mark, each.score, each.sample if rule.include_samples else None)
        for pane in window
        for each in pane.candidates
    ]
    ordered = sorted(found, key=lambda each: (each.score, each.topic, each.partition, each.offset, each.row))
    farthest = sorted(ordered, key=lambda each: -each.score)[: rule.count]
    return Examples(tuple(farthest), tuple(ordered[: rule.count])) if farthest else None
