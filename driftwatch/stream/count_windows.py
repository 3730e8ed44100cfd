"""Windows by count: the newest panes of a stream that hold a given number of samples."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

from driftwatch.data.flaws import Flaws
from driftwatch.stats.running import RunningMinimum, RunningSum
from driftwatch.stats.summary import Array
from driftwatch.stream.alert import OffsetRange, WindowSpan
from driftwatch.stream.log import Partition
from driftwatch.stream.panes import Pane


@dataclass(frozen=True)
class FullWindow:
    """A window that is ready to be tested.

    Args:
        span: which samples they are.
        flaws: of their values.
    """

    span: WindowSpan
    flaws: Flaws


class _Offsets:
    """Which messages of one partition a window holds; as running minima, hence the negated last offset."""

    def __init__(self) -> None:
        self._first, self._negated_last = RunningMinimum[int](), RunningMinimum[int]()

    def push(self, pane: Pane) -> None:
        self._first.push(pane.first[0])
        self._negated_last.push(-pane.last[0])

    def pop(self) -> bool:
        """Remove the oldest pane; return whether it was the only one."""
        self._first.pop()
        self._negated_last.pop()
        return not self._first

    def range(self, partition: Partition) -> OffsetRange:
        return OffsetRange(*partition, self._first.least, -self._negated_last.least)


class CountWindow:
    """The fewest newest panes that hold at least `size` samples; the cost per pane does not depend on `size`.

    Args:
        size: in samples.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._panes: deque[Pane] = deque()
        self._samples = 0
        self._sum = RunningSum()
        self._flaws: dict[str, list[int]] = {}
        self._start_ms, self._negated_end_ms = RunningMinimum[int](), RunningMinimum[int]()
        self._share = RunningMinimum[float]()
        self._offsets = defaultdict[Partition, _Offsets](_Offsets)

    def push(self, pane: Pane) -> None:
        """Add the next pane, and drop those that are no longer needed."""
        self._panes.append(pane)
        self._samples += pane.n
        self._sum.push(pane.sums)
        self._count_flaws(pane.flaws, 1)
        self._start_ms.push(pane.start_ms)
        self._negated_end_ms.push(-pane.end_ms)
        self._share.push(pane.share.part)
        self._offsets[pane.topic_partition].push(pane)
        while self._samples - self._panes[0].n >= self._size:
            self._pop()

    def _pop(self) -> None:
        oldest = self._panes.popleft()
        self._count_flaws(oldest.flaws, -1)
        self._samples -= oldest.n
        for running in (self._sum, self._start_ms, self._negated_end_ms, self._share):
            running.pop()
        if self._offsets[oldest.topic_partition].pop():
            del self._offsets[oldest.topic_partition]

    def full(self) -> FullWindow | None:
        """The window that ends here; None if there are too few samples."""
        if self._samples < self._size:
            return None
        span = WindowSpan(
            size=self._size,
            samples=self._samples,
            start_ms=self._start_ms.least,
            end_ms=-self._negated_end_ms.least,
            offsets=tuple(self._offsets[partition].range(partition) for partition in sorted(self._offsets)),
            share=self._share.least,
        )
        flaws = {name: (missing, unseen) for name, (missing, unseen) in self._flaws.items() if missing or unseen}
        return FullWindow(span, flaws)

    def summary(self, out: Array | None = None) -> Array:
        """The summary of the samples in it, ``(V,)``; written to `out`, if that is given."""
        return self._sum.total(out)

    def _count_flaws(self, flaws: Flaws, sign: int) -> None:
        for name, (missing, unseen) in flaws.items():
            counts = self._flaws.setdefault(name, [0, 0])
            counts[0] += sign * missing
            counts[1] += sign * unseen
