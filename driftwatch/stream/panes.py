"""Panes: additive summaries of `step` consecutive samples of one stream in one partition.

With windows by time, no pane may span more than a tick of event time. A *slice* of `step` samples may then come in
several panes, which are marked, and are joined again for windows by count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.flaws import Flaws, add_flaws
from driftwatch.data.schema import Coerced
from driftwatch.reference.scoring import ScoredPane
from driftwatch.stats.summary import Array, merge
from driftwatch.stats.sums import Sums, keep
from driftwatch.stream.alert import Example, Examples
from driftwatch.stream.examples import Candidate, ExampleRule
from driftwatch.stream.log import Partition
from driftwatch.stream.positions import Mark
from driftwatch.stream.sampling import ALL, Share


@dataclass(frozen=True)
class Pane:
    """The summary of a slice of a stream, or of a piece of one.

    Args:
        stream: its name.
        reference: version of the reference that scored it.
        n: samples in it.
        sums: their summed summary, ``(V,)``, on `driftwatch.stats.summary.GRID`.
        start_ms: event time of the oldest sample, milliseconds since the epoch.
        end_ms: event time of the newest sample.
        topic: that the samples came from.
        partition: of the topic.
        first: offset of the first sample's message, and its index there.
        last: the same for the last sample.
        candidates: samples that may be the nearest or farthest of a window, farthest first.
        grades: how surprising each sample is, a byte each, in order.
        trace: context of its newest message whose trace is sampled; empty if there is none.
        share: of the messages that were processed.
        unfinished: whether more of its slice is to come.
        seen_ms: event time of the sample that closed it, where that sample is not part of it.
        flaws: of the samples' values.
        logged_ms: when it was written to its log, by the log; 0 without a log. Not part of the pane.
        number: of the pane, or of its slice's first piece, in the log. Not part of the pane.
    """

    stream: str
    reference: str
    n: int
    sums: Sums
    start_ms: int
    end_ms: int
    topic: str
    partition: int
    first: Mark
    last: Mark
    candidates: tuple[Candidate, ...] = ()
    grades: bytes = b""
    trace: str = ""
    share: Share = ALL
    unfinished: bool = False
    seen_ms: int | None = None
    flaws: Flaws = field(default_factory=dict)
    logged_ms: int = field(default=0, compare=False)
    number: int = field(default=0, compare=False)

    @property
    def topic_partition(self) -> Partition:
        """The partition that the samples came from."""
        return self.topic, self.partition

    @property
    def summary(self) -> Array:
        """The sums in double precision, ``(V,)``; do not write to it."""
        return self.sums.values


@dataclass(frozen=True)
class RawPane:
    """A pane that is not scored yet.

    Args:
        stream: its name.
        samples: ``(n, *sample_shape)``.
        start_ms: event time of the oldest sample, milliseconds since the epoch.
        end_ms: event time of the newest sample.
        topic: that the samples came from.
        partition: of the topic.
        offsets: of the samples' messages, ``(n,)``.
        rows: the samples' indices in their messages, ``(n,)``.
        trace: see `Pane`.
        share: see `Pane`.
        unfinished: see `Pane`.
        seen_ms: see `Pane`.
    """

    stream: str
    samples: Coerced
    start_ms: int
    end_ms: int
    topic: str
    partition: int
    offsets: NDArray[np.int64]
    rows: NDArray[np.intp]
    trace: str = ""
    share: Share = ALL
    unfinished: bool = False
    seen_ms: int | None = None

    def mark(self, index: int) -> Mark:
        """The mark of one sample."""
        return int(self.offsets[index]), int(self.rows[index])

    @property
    def first(self) -> Mark:
        """The mark of the first sample."""
        return self.mark(0)

    @property
    def last(self) -> Mark:
        """The mark of the last sample."""
        return self.mark(-1)


def pane_of(raw: RawPane, reference: str, scored: ScoredPane, candidates: tuple[Candidate, ...] = ()) -> Pane:
    """The pane for the scores of a raw pane."""
    return Pane(
        stream=raw.stream,
        reference=reference,
        n=len(raw.samples),
        sums=scored.sums,
        start_ms=raw.start_ms,
        end_ms=raw.end_ms,
        topic=raw.topic,
        partition=raw.partition,
        first=raw.first,
        last=raw.last,
        grades=scored.grades.tobytes(),
        candidates=candidates,
        trace=raw.trace,
        share=raw.share,
        unfinished=raw.unfinished,
        seen_ms=raw.seen_ms,
        flaws=scored.flaws,
    )


def join_panes(panes: Sequence[Pane]) -> Pane:
    """Join the pieces of one slice, given in order."""
    if len(panes) == 1:
        return panes[0]
    return replace(
        panes[-1],
        n=sum(pane.n for pane in panes),
        sums=keep(merge([pane.summary for pane in panes])),
        start_ms=min(pane.start_ms for pane in panes),
        end_ms=max(pane.end_ms for pane in panes),
        first=panes[0].first,
        grades=b"".join(pane.grades for pane in panes),
        candidates=tuple(chain.from_iterable(pane.candidates for pane in panes)),
        trace=next((pane.trace for pane in reversed(panes) if pane.trace), ""),
        flaws=add_flaws(pane.flaws for pane in panes),
        number=panes[0].number,
    )


def examples_of(window: Sequence[Pane], rule: ExampleRule) -> Examples | None:
    """The samples of a window that are farthest from the reference and nearest to it; None if none are configured.

    Ties go to the sample that is first in the log.
    """
    found = [
        Example(pane.topic, pane.partition, *each.mark, each.score, each.sample if rule.include_samples else None)
        for pane in window
        for each in pane.candidates
    ]
    ordered = sorted(found, key=lambda each: (each.score, each.topic, each.partition, each.offset, each.row))
    farthest = sorted(ordered, key=lambda each: -each.score)[: rule.count]
    return Examples(tuple(farthest), tuple(ordered[: rule.count])) if farthest else None
