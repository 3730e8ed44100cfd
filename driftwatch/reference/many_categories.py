"""Columns of many categories: the commonest count by themselves, all others that are known as one.

What is known, and what is common, is learned from the samples to fit alone. To the others a held-out sample then is as
a fresh one will be: of a long tail some of its values are new, and windows of such samples say how many are usual. Of
the samples to fit none is new, so that values that come once among them are taken for new there: they are as many as
are to be expected of one more sample.

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
"""Of a value that counts by itself: of a rarer one it is chance that it came so often, or is among the commonest."""

LEAST_TOLD = 1e-3
"""Share of new values that is told."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Gathered:
    """A column, and how the numbers of its values before are written with it.

    Args:
        place: of the column.
        column: with fewer categories.
        fresh: the numbers of the values that it had, and of one that it had not, ``(M + 1,)``.
        fitted: likewise in samples to fit.
        told: what became of the values, for people.
    """

    place: int
    column: Column
    fresh: NDArray[np.float64]
    fitted: NDArray[np.float64]
    told: str

    @classmethod
    def of(cls, place: int, column: Column, counts: Counts) -> Self:
        """Gathers the values of a column.

        Args:
            place: of the column.
            column: with all values that occur.
            counts: of each among the samples to fit, ``(M,)``.
        """
        order = np.argsort(-counts, kind="stable")
        # In the order of their names, as all categories are: names that begin alike often mean what is alike.
        own = np.sort(order[:OWN][counts[order[:OWN]] >= LEAST_ROWS])
        others = np.setdiff1d(np.flatnonzero(counts), own)
        names = np.array(column.categories)
        made = Column(
            name=column.name,
            kind="category",
            categories=tuple(names[own].tolist()),
            others=digests(names[others].tolist()),
        )
        fresh = np.full(len(counts) + 1, float(made.unseen))
        fresh[others], fresh[own] = len(own), np.arange(len(own))
        fitted = fresh.copy()
        once = counts == 1
        fitted[:-1][once] = made.unseen
        rows = max(1, int(counts.sum()))
        told = (
            f"{column.name}: {len(own)} values of their own, {len(others):,} others together, "
            f"{percent(counts[others].sum() / rows)} of rows"
        )
        if (new := once.sum() / rows) >= LEAST_TOLD:
            told += f"; new values are expected in {percent(new)}"
        return cls(place, made, fresh, fitted, told)

    def rewrite(self, rows: Samples, *, fit: bool) -> None:
        """Writes the column of rows ``(N, columns)`` anew, in their place; `fit` if they are samples to fit."""
        before = rows[:, self.place]
        known = ~np.isnan(before)
        before[known] = (self.fitted if fit else self.fresh)[before[known].astype(np.int64)]


def many(schema: TableSchema) -> list[int]:
    """The places of columns of so many values that some are gathered."""
    return [place for place, column in enumerate(schema.columns) if len(column.categories) > FEW]


def count_values(rows: Samples, places: Sequence[int], schema: TableSchema) -> list[Counts]:
    """How often each value of some columns comes in rows ``(N, columns)``, ``(M,)`` each."""
    found = []
    for place in places:
        values = rows[:, place]
        known = values[~np.isnan(values)].astype(np.int64)
        found.append(np.bincount(known, minlength=len(schema.columns[place].categories) + 1)[:-1])
    return found


def with_columns(schema: TableSchema, gathered: Sequence[Gathered]) -> TableSchema:
    """The schema with those columns in their places."""
    by_place = {each.place: each.column for each in gathered}
    return TableSchema(columns=tuple(by_place.get(place, column) for place, column in enumerate(schema.columns)))
