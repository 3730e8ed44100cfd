"""Statistics of single columns: how far off the one is that moved most.

Hotelling's statistic of all columns asks about every direction that an average may move in, and dilutes what one column
does by itself. Here each column is asked alone, in three ways: whether its value moved, or its distribution changed,
while the others stayed (what they tell of it is taken off: an arrival delay that did not follow the departure's is
surprising where the delay itself is not); and how far its distribution is from the reference's, whatever the others
did.

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
    """A quadratic form of a window's mean descriptors for each of ``D`` columns.

    Args:
        group: which of a layout's groups it looks at.
        forms: ``A`` of all columns side by side, ``(K, D r)``: ``n |mean y A_j|^2`` is the statistic of column ``j``.
        width: ``r``, how many columns of ``A`` each of them has.
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
        # Each window by itself: a product of all at once may add up a row differently in another place.
        found = np.matmul(sums[:, None, :], self.forms).reshape(len(sums), -1, self.width)
        return np.asarray(np.square(found).sum(2).max(1) / n)


def moved_alone(group: int, whitener: Array, width: int) -> ColumnStatistic:
    """Of columns of which one moves and the others stay: the best of all tests for that.

    What moves the descriptors of one column moves standard vectors within the span of that column's rows of the
    whitener. The statistic is the length of the mean within that span.

    Args:
        group: its place in the layout.
        whitener: of the group, ``(K, K)``.
        width: descriptors of each column, side by side.
    """
    rows = whitener.reshape(-1, width, whitener.shape[1])
    return ColumnStatistic(group, np.concatenate([np.linalg.qr(each.T)[0] for each in rows], axis=1), width)


def apart(group: int, whitener: Array, width: int) -> ColumnStatistic:
    """Of columns that are looked at one by one: the mean squared distance of distribution functions.

    Args:
        group: its place in the layout.
        whitener: of the group, ``(K, K)``.
        width: shares of each column's values that are counted, side by side in ascending order.
    """
    shares = np.linalg.inv(whitener).reshape(len(whitener), -1, width)
    return ColumnStatistic(group, np.cumsum(shares, axis=2).reshape(len(whitener), -1) / np.sqrt(width), width)
