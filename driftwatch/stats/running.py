"""Figures of a queue that cost the same however long it is."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import numpy as np

from driftwatch.stats.summary import GRID, Array, merge
from driftwatch.stats.sums import EXACT_UNITS, Sums

Number = TypeVar("Number", int, float)


class RunningSum:
    """The sum of what is in a queue, to the last bit what `merge` gives.

    Sums in units of `GRID` are exact as long as they come to no more than `EXACT_UNITS`, so what goes may be taken
    from the sum to which it was added before. While larger numbers, or others, are in the queue, it is summed anew.
    """

    def __init__(self) -> None:
        self._held: deque[Sums] = deque()
        self._units: Array | None = None
        self._largest = 0
        self._unbounded = 0

    def push(self, sums: Sums) -> None:
        """Adds sums at the end."""
        self._held.append(sums)
        self._largest += sums.bound or 0
        self._unbounded += sums.bound is None
        if not self._exact:
            self._units = None
        elif self._units is not None:
            sums.add_to(self._units)

    def pop(self) -> None:
        """Takes away the sums at the front."""
        sums = self._held.popleft()
        self._largest -= sums.bound or 0
        self._unbounded -= sums.bound is None
        if self._units is not None:
            sums.take_from(self._units)

    @property
    def total(self) -> Array:
        """Of what is in the queue, ``(V,)``."""
        if self._units is None:
            if not self._exact:
                return merge([sums.values for sums in self._held])
            self._units = np.zeros(len(self._held[0]))
            for sums in self._held:
                sums.add_to(self._units)
        return self._units * GRID

    @property
    def _exact(self) -> bool:
        return not self._unbounded and self._largest <= EXACT_UNITS


class RunningMinimum(Generic[Number]):
    """The least of the numbers in a queue."""

    def __init__(self) -> None:
        # Only those that are less than all after them can ever be the least; with their places in the queue.
        self._candidates: deque[tuple[int, Number]] = deque()
        self._pushed = self._popped = 0

    def push(self, number: Number) -> None:
        """Adds a number at the end."""
        while self._candidates and self._candidates[-1][1] >= number:
            self._candidates.pop()
        self._candidates.append((self._pushed, number))
        self._pushed += 1

    def pop(self) -> None:
        """Takes away the number at the front."""
        if self._candidates[0][0] == self._popped:
            self._candidates.popleft()
        self._popped += 1

    @property
    def least(self) -> Number:
        """Of what is in the queue."""
        return self._candidates[0][1]

    def __bool__(self) -> bool:
        """Whether there is anything in the queue."""
        return bool(self._candidates)
