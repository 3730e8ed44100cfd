"""Sums as panes keep them: four bytes a number instead of eight, and every number comes back as it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.summary import GRID, Array

MOST = 2**31
"""Units of `GRID` that four bytes do not hold: sums of 65,536. Few are: of squares and likelihoods, in long panes."""

EXACT_UNITS = 2**53
"""Up to which whole numbers in double precision, and sums of them, are exact."""

FEW = 0.25
"""Of the numbers: if more are too large, they take less room in double precision with all the others."""


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums ``(V,)``; `keep` makes them.

    Args:
        units: whole multiples of `GRID`; if not all sums are such, or small enough to add up exactly, the sums.
        large: places of numbers that four bytes do not hold, which are 0 in `units`, and what they are; mostly none.
        bound: the largest number of units they may have; None if they are not in units.
    """

    units: NDArray[np.int32] | Array
    large: tuple[NDArray[np.intp], Array] | None
    bound: int | None

    @property
    def values(self) -> Array:
        """The sums themselves; not to be written to."""
        if self.bound is None:
            return np.asarray(self.units, dtype=np.float64)
        values = np.asarray(self.units * GRID)
        if self.large:
            places, units = self.large
            values[places] = units * GRID
        return values

    def add_to(self, total: Array) -> None:
        """Adds them to a total in units."""
        self._change(total, np.add)

    def take_from(self, total: Array) -> None:
        """Takes them away from a total in units."""
        self._change(total, np.subtract)

    def _change(self, total: Array, operation: np.ufunc) -> None:
        operation(total, self.units, out=total)
        if self.large:
            places, units = self.large
            total[places] = operation(total[places], units)

    def __len__(self) -> int:
        return len(self.units)


def keep_each(summaries: Array) -> list[Sums]:
    """Each of several summaries ``(M, V)`` as it is kept; all of them at once, where none has large numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        units = np.rint(summaries * (1.0 / GRID))
        small = bool(np.abs(units).max(initial=0.0) < MOST) and np.array_equal(units * GRID, summaries)
    if not small:
        return [keep(values) for values in summaries]
    # Copied, since one may be kept for longer than the others.
    return [Sums(each.copy(), None, MOST) for each in units.astype(np.int32)]


def keep(values: Array) -> Sums:
    """Sums ``(V,)`` as they are kept.

    >>> sums = keep(np.array([0.5, 1e6, -3.0, 0.0]))
    >>> sums.units.tolist(), sums.values.tolist()
    ([16384, 0, -98304, 0], [0.5, 1000000.0, -3.0, 0.0])
    """
    with np.errstate(over="ignore", invalid="ignore"):  # then they are no multiples
        units = np.rint(values * (1.0 / GRID))
        most = float(np.abs(units).max(initial=0.0))
        if not most <= EXACT_UNITS or not (units * GRID == values).all():
            return Sums(np.array(values, dtype=np.float64), None, None)
    if most < MOST:
        return Sums(units.astype(np.int32), None, MOST)
    places = np.flatnonzero(np.abs(units) >= MOST)
    if len(places) > FEW * len(units):
        return Sums(units, None, int(most))
    large = units[places]
    units[places] = 0.0
    return Sums(units.astype(np.int32), (places, large), int(most))
