"""One statistic out of several: the length of a vector of surprises ``-ln p``, each p-value under its own null.

Fisher's plain sum dilutes a signal that only one statistic sees, and the largest surprise ignores signals that several
share; the length lost least on Fashion-MNIST's shifts and on flights. Each coordinate adds noise, so there are only a
few: statistics that look for the same kind of drift are added up first, and the surprise of their sum is one coordinate
(benchmarks/NOTES.md). The statistics depend on each other, so none of these quantities has a known distribution; their
nulls are all fitted to the same draws. The tail of the length falls exponentially, like that of a single surprise,
which is what a fitted tail extrapolates best.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.summary import Array
from driftwatch.stats.tail import Tail, fit_tail

NEGLIGIBLE = 1e-5
"""Spread relative to the value up to which a statistic counts as constant: such differences are rounding."""


@dataclass(frozen=True)
class Coordinate:
    """Statistics that share a coordinate.

    Args:
        columns: their indices.
        weight: of the square of their surprise.
    """

    columns: tuple[int, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Combination:
    """Combines statistics, each of which is larger for more drift.

    Args:
        coordinates: of the vector.
        columns: indices of the statistics that vary under the null; the others carry no information.
        tails: the null of each of those.
        sums: the null of the summed surprises of each coordinate in which several statistics vary.
    """

    coordinates: tuple[Coordinate, ...]
    columns: NDArray[np.intp]
    tails: tuple[Tail, ...]
    sums: tuple[Tail, ...]

    def __call__(self, statistics: Array) -> Array:
        """Combine the statistics of ``M`` windows, ``(M, J)`` to ``(M,)``."""
        sums = iter(self.sums)
        total = np.zeros(len(statistics))
        # Added one after another: a sum along an axis would round a single row differently from one among many.
        for coordinate, each in _by_coordinate(self.coordinates, _surprises(statistics, self.columns, self.tails)):
            surprise = each[0] if len(each) == 1 else _surprise(next(sums), sum(each[1:], start=each[0]))
            total = total + coordinate.weight * np.square(surprise)
        return np.sqrt(total)


def fit_combination(statistics: Array, coordinates: Sequence[Coordinate]) -> Combination:
    """Fit a combination to null draws of the statistics, ``(M, J)``."""
    low, high = np.quantile(statistics, [0.1, 0.9], axis=0)
    columns = np.flatnonzero(high - low > NEGLIGIBLE * np.maximum(np.abs(low), np.abs(high)))
    tails = tuple(fit_tail(column) for column in statistics[:, columns].T)
    by_coordinate = _by_coordinate(coordinates, _surprises(statistics, columns, tails))
    sums = tuple(fit_tail(sum(each[1:], start=each[0])) for _, each in by_coordinate if len(each) > 1)
    return Combination(tuple(coordinates), columns, tails, sums)


def _surprise(tail: Tail, statistic: Array) -> Array:
    return np.asarray(-np.log(tail.p_value(statistic)))


def _surprises(statistics: Array, columns: NDArray[np.intp], tails: Sequence[Tail]) -> dict[int, Array]:
    """The surprise of each statistic that varies, ``(M,)``, by its index."""
    return {
        column: _surprise(tail, statistics[:, column]) for column, tail in zip(columns.tolist(), tails, strict=True)
    }


def _by_coordinate(
    coordinates: Sequence[Coordinate], surprises: Mapping[int, Array]
) -> Iterator[tuple[Coordinate, list[Array]]]:
    """The surprises of each coordinate that has any."""
    for coordinate in coordinates:
        if each := [surprises[column] for column in coordinate.columns if column in surprises]:
            yield coordinate, each
