"""Statistics of single columns: how far off the column is that moved most.

Hotelling's statistic of all columns tests every direction in which an average may move, which dilutes the change of a
single column. Here each column is tested by itself, in three ways: whether its value moved, or its distribution
changed, given the other columns (what they predict of it is subtracted: an arrival delay that did not follow the
departure's is surprising even where the delay itself is not); and how far its distribution is from the reference's,
regardless of the others.

References:
    Anderson, "On the distribution of the two-sample Cramer-von Mises criterion" (1962): the mean squared distance of
    distribution functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ColumnStatistic:
    """A quadratic form of a window's mean descriptors, for each of ``D`` columns.

    Args:
        group: index of the layout's group that it is computed from.
        forms: ``A_j`` of all columns side by side, ``(K, D r)``: the statistic of column ``j`` is ``n |mean y A_j|^2``.
        width: ``r``, the width of each ``A_j``.
    """

    group: int
    forms: Array
    width: int

    def __call__(self, sums: Array, n: Array) -> Array:
        """The largest of the columns' statistics, ``(M,)``.

        Args:
            sums: of the group's standard vectors over ``M`` windows, ``(M, K)``.
            n: samples in each window, ``(M,)``.
        """
        # One product per window: in one large product, a row's rounding could depend on its position.
        found = np.matmul(sums[:, None, :], self.forms).reshape(len(sums), -1, self.width)
        return np.asarray(np.square(found).sum(2).max(1) / n)


def moved_alone(group: int, whitener: Array, width: int) -> ColumnStatistic:
    """The most powerful test of each column for the case that it alone moves and the others stay.

    Moving the descriptors of one column moves standard vectors within the span of that column's rows of the whitener.
    The statistic is the length of the mean within that span.

    Args:
        group: its index in the layout.
        whitener: of the group, ``(K, K)``.
        width: descriptors per column, side by side.
    """
    rows = whitener.reshape(-1, width, whitener.shape[1])
    return ColumnStatistic(group, np.concatenate([np.linalg.qr(each.T)[0] for each in rows], axis=1), width)


def apart(group: int, whitener: Array, width: int) -> ColumnStatistic:
    """The mean squared distance of distribution functions of each column, ignoring the other columns.

    Args:
        group: its index in the layout.
        whitener: of the group, ``(K, K)``.
        width: counted bins of each column's values, side by side in ascending order.
    """
    shares = np.linalg.inv(whitener).reshape(len(whitener), -1, width)
    return ColumnStatistic(group, np.cumsum(shares, axis=2).reshape(len(whitener), -1) / np.sqrt(width), width)
