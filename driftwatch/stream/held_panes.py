"""The panes of a stream that its windows by count still need."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from driftwatch.stats.running import RunningMinimum
from driftwatch.stream.log import Partition
from driftwatch.stream.panes import Pane
from driftwatch.stream.slices import Slices


class HeldPanes:
    """The newest slices that hold a number of samples, and the pieces of those that are not complete.

    Args:
        most: samples in the longest window.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._slices = Slices()
        self._complete: deque[Pane] = deque()
        self._samples = 0
        # With several input partitions, slices may be completed in another order than they began.
        self._numbers = RunningMinimum[int]()

    def add(self, pane: Pane) -> Pane | None:
        """Add the next pane of the log; return the slice that it completes, if any."""
        completed = self._slices.take(pane)
        if completed is not None:
            self._complete.append(completed)
            self._numbers.push(completed.number)
            self._samples += completed.n
            while self._samples - self._complete[0].n >= self._most:
                self._samples -= self._complete.popleft().n
                self._numbers.pop()
        return completed

    def completed_by(self, panes: Sequence[Pane]) -> list[Pane | None]:
        """The slices that the next panes will complete; they are not added."""
        slices = self._slices.copy()
        return [slices.take(pane) for pane in panes]

    def restart(self, partition: Partition) -> bool:
        """Drop all slices if one is from a partition in which messages are gone, and pieces of such; return whether."""
        self._slices.drop(partition)
        if all(pane.topic_partition != partition for pane in self._complete):
            return False
        self._complete.clear()
        self._numbers, self._samples = RunningMinimum(), 0
        return True

    def window(self, size: int) -> list[Pane]:
        """The fewest newest slices that hold at least `size` samples, oldest first; empty if there are too few."""
        window, samples = [], 0
        for pane in reversed(self._complete):
            window.append(pane)
            samples += pane.n
            if samples >= size:
                return window[::-1]
        return []

    def latest(self, count: int) -> list[Pane]:
        """Up to `count` of the newest slices, newest first."""
        return list(islice(reversed(self._complete), count))

    @property
    def panes(self) -> Sequence[Pane]:
        """All of them, oldest first, and then the pieces of incomplete slices."""
        return (*self._complete, *self._slices.waiting)

    @property
    def oldest(self) -> int | None:
        """The lowest number of a pane; None if there are none."""
        numbers = [pane.number for pane in self._slices.waiting]
        if self._numbers:
            numbers.append(self._numbers.least)
        return min(numbers, default=None)
