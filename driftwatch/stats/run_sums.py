"""Sums over runs of rows that come in batches, on a CPU: one row after another, however the batches are cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from driftwatch.stats.summary import Array


class RunSums:
    """Adds up runs of rows.

    Args:
        ends: of the runs, ascending; each begins where the one before it ends.
        size: ``V``, numbers of a row.

    Attributes:
        sums: of the rows that were added, ``(runs, V)``.

    >>> found = RunSums([1, 4], size=1)
    >>> for batch in ([[1.0], [2.0]], [[3.0], [4.0]]):
    ...     found.add(np.array(batch))
    >>> found.sums.tolist()
    [[1.0], [9.0]]
    """

    def __init__(self, ends: Sequence[int], size: int) -> None:
        self.sums = np.zeros((len(ends), size))
        self._starts = np.array([0, *ends[:-1]])
        self._added = 0

    def add(self, rows: Array) -> None:
        """Adds the rows ``(N, V)`` that follow those before."""
        first, last = np.searchsorted(self._starts, (self._added, self._added + len(rows)))
        begun = self._starts[first:last] - self._added  # of the runs that these rows begin
        self._added += len(rows)
        left = int(begun[0]) if len(begun) else len(rows)
        if left:
            self.sums[first - 1] = np.add.reduce([self.sums[first - 1], *rows[:left]])
        if len(begun):
            places = torch.arange(left, len(rows))
            sums = F.embedding_bag(places, torch.from_numpy(rows), torch.from_numpy(begun - left), mode="sum")
            self.sums[first:last] = sums.numpy()
