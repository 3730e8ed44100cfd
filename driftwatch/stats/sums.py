"""Compact storage of a pane's sums: four bytes per number instead of eight, without loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.summary import GRID, Array

MOST = 2**31
"""Least number of `GRID` units that does not fit four bytes (a sum of 65,536): rare, in squares and likelihoods of long
panes."""

EXACT_UNITS = 2**53
"""Integers up to this are exact in double precision, and so are sums that do not exceed it."""

FEW = 0.25
"""Share of large numbers above which storing all numbers in double precision takes less room."""


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Stored sums ``(V,)``, made by `keep`.

    Args:
        units: multiples of `GRID`; or the sums themselves, if some are no such multiples or too large to add exactly.
        large: indices and units of numbers that do not fit four bytes, which are 0 in `units`; usually None.
        bound: upper bound of the absolute number of units; None if `units` holds the sums themselves.
    """

    units: NDArray[np.int32] | Array
    large: tuple[NDArray[np.intp], Array] | None
    bound: int | None

    @property
    def values(self) -> Array:
        """The sums themselves; do not write to this array."""
        if self.bound is None:
            return np.asarray(self.units, dtype=np.float64)
        values = np.asarray(self.units * GRID)
        if self.large:
            places, units = self.large
            values[places] = units * GRID
        return values

    def add_to(self, total: Array) -> None:
        """Add to a total in units."""
        self._change(total, np.add)

    def take_from(self, total: Array) -> None:
        """Subtract from a total in units."""
        self._change(total, np.subtract)

    def _change(self, total: Array, operation: np.ufunc) -> None:
        operation(total, self.units, out=total)
        if self.large:
            places, units = self.large
            total[places] = operation(total[places], units)

    def __len__(self) -> int:
        return len(self.units)


def keep_each(summaries: Array) -> list[Sums]:
    """Store each of several summaries ``(M, V)``; all at once if none of them has large numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        units = np.rint(summaries * (1.0 / GRID))
        small = bool(np.abs(units).max(initial=0.0) < MOST) and np.array_equal(units * GRID, summaries)
    if not small:
        return [keep(values) for values in summaries]
    # Copied, so that keeping one does not keep the memory of all.
    return [Sums(each.copy(), None, MOST) for each in units.astype(np.int32)]


def keep(values: Array) -> Sums:
    """Store sums ``(V,)``.

    >>> sums = keep(np.array([0.5, 1e6, -3.0, 0.0]))
    >>> sums.units.tolist(), sums.values.tolist()
    ([16384, 0, -98304, 0], [0.5, 1000000.0, -3.0, 0.0])
    """
    with np.errstate(over="ignore", invalid="ignore"):  # overflow and NaN fail the checks below
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
