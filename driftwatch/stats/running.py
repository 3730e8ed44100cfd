"""Figures of a queue that cost the same however long it is."""

from __future__ import annotations

import math
from collections import deque
from typing import Generic, TypeVar

import numpy as np

from driftwatch.stats.summary import EXACT, Array, merge

Number = TypeVar("Number", int, float)


class RunningSum:
    """The sum of vectors in a queue, to the last bit what `merge` gives.

    Sums of whole multiples of `GRID` are exact as long as they are no larger than `EXACT`, so what goes may be taken
    from the sum to which it was added before. While larger numbers, or others, are in the queue, it is summed anew.
    """

    def __init__(self) -> None:
        self._held: deque[tuple[Array, int | None]] = deque()
        self._total: Array | None = None
        self._largest = 0
        self._unbounded = 0

    def push(self, vector: Array) -> None:
        """Adds a vector at the end."""
        most = float(np.abs(vector).max(initial=0.0))
        bound = math.ceil(most) if most <= EXACT else None
        self._held.append((vector, bound))
        self._largest += bound or 0
        self._unbounded += bound is None
        if not self._exact:
            self._total = None
        elif self._total is not None:
            self._total += vector

    def pop(self) -> None:
        """Takes away the vector at the front."""
        vector, bound = self._held.popleft()
        self._largest -= bound or 0
        self._unbounded -= bound is None
        if self._total is not None:
            self._total -= vector

    @property
    def total(self) -> Array:
        """Of what is in the queue, ``(V,)``."""
        if self._total is not None:
            return self._total.copy()
        total = merge([vector for vector, _ in self._held])
        if self._exact:
            self._total = total.copy()
        return total

    @property
    def _exact(self) -> bool:
        return not self._unbounded and self._largest <= EXACT


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
