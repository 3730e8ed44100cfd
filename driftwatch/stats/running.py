"""Aggregates of a queue, at a cost that does not depend on its length."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import numpy as np

from driftwatch.stats.summary import GRID, Array, merge
from driftwatch.stats.sums import EXACT_UNITS, Sums

Number = TypeVar("Number", int, float)


class RunningSum:
    """The sum of the items of a queue, equal to `merge` of them to the last bit.

    Sums in units of `GRID` are exact up to `EXACT_UNITS`, so subtracting an item undoes its addition. While the queue
    contains larger numbers, or numbers that are no multiples of `GRID`, it is summed anew each time.
    """

    def __init__(self) -> None:
        self._held: deque[Sums] = deque()
        self._units: Array | None = None
        self._largest = 0
        self._unbounded = 0

    def push(self, sums: Sums) -> None:
        """Add an item at the end."""
        self._held.append(sums)
        self._largest += sums.bound or 0
        self._unbounded += sums.bound is None
        if not self._exact:
            self._units = None
        elif self._units is not None:
            sums.add_to(self._units)

    def pop(self) -> None:
        """Remove the item at the front."""
        sums = self._held.popleft()
        self._largest -= sums.bound or 0
        self._unbounded -= sums.bound is None
        if self._units is not None:
            sums.take_from(self._units)

    def total(self, out: Array | None = None) -> Array:
        """The sum of all items in the queue, ``(V,)``; written to `out`, if that is given."""
        if self._units is None:
            if not self._exact:
                return merge([sums.values for sums in self._held], out)
            self._units = np.zeros(len(self._held[0]))
            for sums in self._held:
                sums.add_to(self._units)
        return np.multiply(self._units, GRID, out=out)

    @property
    def _exact(self) -> bool:
        return not self._unbounded and self._largest <= EXACT_UNITS


class RunningMinimum(Generic[Number]):
    """The smallest number in a queue."""

    def __init__(self) -> None:
        # (place in the queue, number) of each number that is less than all after it: no other can become the least.
        self._candidates: deque[tuple[int, Number]] = deque()
        self._pushed = self._popped = 0

    def push(self, number: Number) -> None:
        """Add a number at the end."""
        while self._candidates and self._candidates[-1][1] >= number:
            self._candidates.pop()
        self._candidates.append((self._pushed, number))
        self._pushed += 1

    def pop(self) -> None:
        """Remove the number at the front."""
        if self._candidates[0][0] == self._popped:
            self._candidates.popleft()
        self._popped += 1

    @property
    def least(self) -> Number:
        """The smallest number in the queue."""
        return self._candidates[0][1]

    def __bool__(self) -> bool:
        """Whether the queue holds any numbers."""
        return bool(self._candidates)
