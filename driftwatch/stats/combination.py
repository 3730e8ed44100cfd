"""One statistic of several: a sum of powers of their surprises ``-ln p``, each p-value under its own null.

Fisher's sum (power 1) dilutes a signal that only one statistic sees, the minimum (power infinity) ignores signals that
several share. Which power loses least was measured (docs/accuracy.md). The statistics depend on each other, so the sum
has no known distribution: it gets a null of its own from the same draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.stats.summary import Array
from driftwatch.stats.tail import Tail, fit_tail

POWER = 1.5


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
        return np.asarray(np.power(surprises, POWER).sum(0))


def fit_combination(statistics: Array) -> Combination:
    """Fits a combination to draws of the null, ``(M, J)``."""
    return Combination(tuple(fit_tail(column) for column in statistics.T))
