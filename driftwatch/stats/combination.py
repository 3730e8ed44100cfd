"""One statistic of several: the length of a vector of surprises ``-ln p``, each p-value under its own null.

Fisher's plain sum dilutes a signal that only one statistic sees, and the largest surprise alone ignores signals that
several share; the length lost least on Fashion-MNIST's shifts and on flights. Each coordinate adds noise of its own, so
that there are few: statistics that look for the same are added up first, and the sum's own surprise is one coordinate
(benchmarks/NOTES.md). The statistics depend on each other, so nothing here has a known distribution, and all of it gets
a null from the same draws. Its tail falls like a surprise's own, that is exponentially, which is what a fitted tail
extrapolates best.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.summary import Array
from driftwatch.stats.tail import Tail, fit_tail

NEGLIGIBLE = 1e-5
"""Of the value itself: what hardly ever varies more than that only rounds differently."""


@dataclass(frozen=True)
class Coordinate:
    """Statistics that count as one.

    Args:
        columns: their numbers.
        weight: how many times the square of their surprise counts.
    """

    columns: tuple[int, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Combination:
    """Combines statistics, of each of which larger means more drift.

    Args:
        coordinates: of the vector.
        columns: which statistics vary under the null; the others say nothing.
        tails: the null of each of those.
        sums: the null of the added surprises of each coordinate of which several statistics vary.
    """

    coordinates: tuple[Coordinate, ...]
    columns: NDArray[np.intp]
    tails: tuple[Tail, ...]
    sums: tuple[Tail, ...]

    def __call__(self, statistics: Array) -> Array:
        """Of ``(M, J)``, ``(M,)``."""
        sums = iter(self.sums)
        total = np.zeros(len(statistics))
        # One after another: added up along an axis, one row comes out differently from many.
        for coordinate, each in _by_coordinate(self.coordinates, _surprises(statistics, self.columns, self.tails)):
            surprise = each[0] if len(each) == 1 else _surprise(next(sums), sum(each[1:], start=each[0]))
            total = total + coordinate.weight * np.square(surprise)
        return np.sqrt(total)


def fit_combination(statistics: Array, coordinates: Sequence[Coordinate]) -> Combination:
    """Fits a combination to draws of the null, ``(M, J)``."""
    low, high = np.quantile(statistics, [0.1, 0.9], axis=0)
    columns = np.flatnonzero(high - low > NEGLIGIBLE * np.maximum(np.abs(low), np.abs(high)))
    tails = tuple(fit_tail(column) for column in statistics[:, columns].T)
    by_coordinate = _by_coordinate(coordinates, _surprises(statistics, columns, tails))
    sums = tuple(fit_tail(sum(each[1:], start=each[0])) for _, each in by_coordinate if len(each) > 1)
    return Combination(tuple(coordinates), columns, tails, sums)


def _surprise(tail: Tail, statistic: Array) -> Array:
    return np.asarray(-np.log(tail.p_value(statistic)))


def _surprises(statistics: Array, columns: NDArray[np.intp], tails: Sequence[Tail]) -> dict[int, Array]:
    """Of each statistic that varies, by its number, ``(M,)``."""
    return {
        column: _surprise(tail, statistics[:, column]) for column, tail in zip(columns.tolist(), tails, strict=True)
    }


def _by_coordinate(
    coordinates: Sequence[Coordinate], surprises: Mapping[int, Array]
) -> Iterator[tuple[Coordinate, list[Array]]]:
    """The surprises that each coordinate has, of those that have any."""
    for coordinate in coordinates:
        if each := [surprises[column] for column in coordinate.columns if column in surprises]:
            yield coordinate, each
