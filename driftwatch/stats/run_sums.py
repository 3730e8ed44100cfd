"""Sums over runs of rows that arrive in batches, on a CPU: rounded alike, wherever the batches are cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from driftwatch.stats.summary import Array


class RunSums:
    """Sums consecutive rows, run by run.

    Args:
        ends: end of each run, ascending; each run begins where the previous one ends.
        size: ``V``, numbers per row.

    Attributes:
        sums: of the rows added so far, by run, ``(runs, V)``.

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
        """Add the next rows, ``(N, V)``."""
        first, last = np.searchsorted(self._starts, (self._added, self._added + len(rows)))
        begun = self._starts[first:last] - self._added  # of the runs that begin within these rows
        self._added += len(rows)
        left = int(begun[0]) if len(begun) else len(rows)
        if left:
            self.sums[first - 1] = np.add.reduce([self.sums[first - 1], *rows[:left]])
        if len(begun):
            places = torch.arange(left, len(rows))
            sums = F.embedding_bag(places, torch.from_numpy(rows), torch.from_numpy(begun - left), mode="sum")
            self.sums[first:last] = sums.numpy()
