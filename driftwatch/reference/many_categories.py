"""Columns of many categories: the commonest values are categories, and the other known values are grouped in classes.

The values of a class are about equally common, and each class holds about a 64th of the rows; if all other values
together are rare, they are one class. Which values are known, and how common they are, is learned from the samples to
fit alone, so that a held-out sample is treated exactly as a fresh one will be: in a long tail some of its values are
new, and held-out windows show how many new values to expect. Among the samples to fit no value is new, and each sample
makes its own value look commoner. There, a value's count leaves out the sample itself: a value that occurs once is new.
The expected number of such values among the samples to fit is that of new values in one more sample.

References:
    Good, "The population frequencies of species and the estimation of population parameters" (1953).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.schema import Column, Samples, TableSchema, digests
from driftwatch.data.table_files import FEW
from driftwatch.reference.columns import percent

OWN = FEW - 1
LEAST_ROWS = 20
"""Rows that a value needs to be a category: whether a rarer one is among the commonest is mostly chance."""

LEAST_REPORTED = 1e-3
"""Smallest expected share of new values that is reported."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Gathered:
    """A column with its rare values gathered in classes, and the new codes of its ``M`` original values.

    Args:
        place: index of the column.
        column: the column with fewer categories.
        fresh: the new code of each original value, and of unseen values, in held-out and fresh samples, ``(M + 1,)``.
        fitted: likewise in samples to fit.
        summary: one line for the user on what was done.
    """

    place: int
    column: Column
    fresh: NDArray[np.float64]
    fitted: NDArray[np.float64]
    summary: str

    @classmethod
    def of(cls, place: int, column: Column, counts: Counts) -> Self:
        """Gather the rare values of a column.

        Args:
            place: index of the column.
            column: the column, with all values that occur as categories.
            counts: how often each occurs in the samples to fit, ``(M,)``.
        """
        order = np.argsort(-counts, kind="stable")
        # Sorted by name, as all categories are: names that begin alike often mean similar things.
        own = np.sort(order[:OWN][counts[order[:OWN]] >= LEAST_ROWS])
        others = np.setdiff1d(np.flatnonzero(counts), own)
        names, rows = np.array(column.categories), max(1, int(counts.sum()))
        levels, class_of = _classes(counts[others], rows)
        classes = [others[class_of[np.searchsorted(levels, counts[others])] == each] for each in np.unique(class_of)]
        made = Column(
            name=column.name,
            kind="category",
            categories=tuple(names[own].tolist()),
            others=tuple(digests(names[each].tolist()) for each in classes),
        )
        fresh = np.full(len(counts) + 1, float(made.unseen))
        for code, each in enumerate([*own[:, None], *classes]):
            fresh[each] = code
        fitted, once = fresh.copy(), counts == 1
        if len(others):
            fitted[others] = len(own) + class_of[_nearest(levels, counts[others] - 1)]
        fitted[:-1][once] = made.unseen
        together = f"in {len(classes)} classes by how common they are" if len(classes) > 1 else "together"
        summary = (
            f"{column.name}: {len(own)} values of their own, {len(others):,} others {together}, "
            f"{percent(counts[others].sum() / rows)} of rows"
        )
        if (new := once.sum() / rows) >= LEAST_REPORTED:
            summary += f"; new values are expected in {percent(new)}"
        return cls(place, made, fresh, fitted, summary)

    def rewrite(self, rows: Samples, *, fit: bool) -> None:
        """Recode the column of rows ``(N, columns)`` in place; `fit` if they are samples to fit."""
        before = rows[:, self.place]
        known = ~np.isnan(before)
        before[known] = (self.fitted if fit else self.fresh)[before[known].astype(np.int64)]


def _classes(counts: Counts, rows: int) -> tuple[Counts, Counts]:
    """Group values by how common they are, into classes of about as many rows each.

    Args:
        counts: how often each value occurs, ``(K,)``.
        rows: number of rows in total.

    Returns:
        The distinct counts, ascending, ``(L,)``, and the class of the values with each; class 0 has the commonest.
    """
    levels, values = np.unique(counts, return_counts=True)
    held = levels * values
    commoner = np.cumsum(held[::-1])[::-1] - held / 2
    wanted = max(1, round(FEW * float(held.sum()) / rows))
    place = np.minimum((commoner * wanted / max(1, held.sum())).astype(np.int64), wanted - 1)
    return levels, np.unique(place, return_inverse=True)[1]


def _nearest(levels: Counts, counts: Counts) -> Counts:
    """The index of the level nearest to each count."""
    above = np.searchsorted(levels, counts).clip(1, len(levels) - 1) if len(levels) > 1 else np.zeros_like(counts)
    below = (above - 1).clip(0)
    return np.where(counts - levels[below] < levels[above] - counts, below, above)


def many(schema: TableSchema) -> list[int]:
    """Indices of the columns with so many values that some are gathered."""
    return [place for place, column in enumerate(schema.columns) if len(column.categories) > FEW]


def count_values(rows: Samples, places: Sequence[int], schema: TableSchema) -> list[Counts]:
    """How often each value of the given columns occurs in rows ``(N, columns)``: ``(M,)`` for each column."""
    found = []
    for place in places:
        values = rows[:, place]
        known = values[~np.isnan(values)].astype(np.int64)
        found.append(np.bincount(known, minlength=len(schema.columns[place].categories) + 1)[:-1])
    return found


def with_columns(schema: TableSchema, gathered: Sequence[Gathered]) -> TableSchema:
    """The schema with the gathered columns in place of the original ones."""
    by_place = {each.place: each.column for each in gathered}
    return TableSchema(columns=tuple(by_place.get(place, column) for place, column in enumerate(schema.columns)))
