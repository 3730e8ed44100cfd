"""One statistic of several: the length of the vector of their surprises ``-ln p``, each p-value under its own null.

Fisher's plain sum dilutes a signal that only one statistic sees, and the largest surprise alone ignores signals that
several share; the length lost least on Fashion-MNIST's shifts and on flights. The statistics depend on each other, so
it has no known distribution, and gets a null of its own from the same draws. Its tail falls like a surprise's own, that
is exponentially, which is what a fitted tail extrapolates best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.summary import Array
from driftwatch.stats.tail import Tail, fit_tail

NEGLIGIBLE = 1e-5
"""Of the value itself: what hardly ever varies more than that only rounds differently."""


@dataclass(frozen=True)
class Combination:
    """Combines statistics, of each of which larger means more drift.

    Args:
        columns: which of them vary under the null; the others say nothing.
        tails: the null of each of those.
    """

    columns: NDArray[np.intp]
    tails: tuple[Tail, ...]

    def __call__(self, statistics: Array) -> Array:
        """Of ``(M, J)``, ``(M,)``."""
        varying = statistics[:, self.columns].T
        surprises = [-np.log(tail.p_value(column)) for tail, column in zip(self.tails, varying, strict=True)]
        # Along rows: along columns NumPy adds up one row in another order than many.
        return np.asarray(np.sqrt(np.square(np.stack(surprises, axis=1)).sum(1)))


def fit_combination(statistics: Array) -> Combination:
    """Fits a combination to draws of the null, ``(M, J)``."""
    low, high = np.quantile(statistics, [0.1, 0.9], axis=0)
    columns = np.flatnonzero(high - low > NEGLIGIBLE * np.maximum(np.abs(low), np.abs(high)))
    return Combination(columns, tuple(fit_tail(column) for column in statistics[:, columns].T))
