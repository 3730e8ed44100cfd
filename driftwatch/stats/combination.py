"""One statistic of several: the length of the vector of their surprises ``-ln p``, each p-value under its own null.

Fisher's plain sum dilutes a signal that only one statistic sees, and the largest surprise alone ignores signals that
several share; the length lost least on Fashion-MNIST's shifts and on flights. The statistics depend on each other, so
it has no known distribution, and gets a null of its own from the same draws. Its tail falls like a surprise's own, that
is exponentially, which is what a fitted tail extrapolates best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.stats.summary import Array
from driftwatch.stats.tail import Tail, fit_tail


@dataclass(frozen=True)
class Combination:
    """Combines ``J`` statistics, of each of which larger means more drift.

    Args:
        tails: the null of each.
    """

    tails: tuple[Tail, ...]

    def __call__(self, statistics: Array) -> Array:
        """Of ``(M, J)``, ``(M,)``."""
        surprises = [-np.log(tail.p_value(column)) for tail, column in zip(self.tails, statistics.T, strict=True)]
        return np.asarray(np.sqrt(np.square(surprises).sum(0)))


def fit_combination(statistics: Array) -> Combination:
    """Fits a combination to draws of the null, ``(M, J)``."""
    return Combination(tuple(fit_tail(column) for column in statistics.T))
