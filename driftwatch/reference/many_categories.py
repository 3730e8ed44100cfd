"""Columns of many categories: the commonest count by themselves, the others that are known in classes.

A class has values that come about as often as each other, and about a 64th of the rows; where all others together are
rare, there is one. What is known, and how common it is, is learned from the samples to fit alone: to that a held-out
sample is as a fresh one will be. Of a long tail some of its values are new, and windows of such samples say how many
are usual. Of the samples to fit none is new, and each helps to make its value common. So there a value counts as often
as it comes in the others: what comes once is new, and so many are to be expected of one more sample.

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
        told = (
            f"{column.name}: {len(own)} values of their own, {len(others):,} others {together}, "
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


def _classes(counts: Counts, rows: int) -> tuple[Counts, Counts]:
    """Classes of values by how often each comes, of about as many rows each.

    Args:
        counts: of the values, ``(K,)``.
        rows: in all.

    Returns:
        The different counts, ascending, ``(L,)``; the class of the values that come so often, the commonest first.
    """
    levels, values = np.unique(counts, return_counts=True)
    held = levels * values
    commoner = np.cumsum(held[::-1])[::-1] - held / 2
    wanted = max(1, round(FEW * float(held.sum()) / rows))
    place = np.minimum((commoner * wanted / max(1, held.sum())).astype(np.int64), wanted - 1)
    return levels, np.unique(place, return_inverse=True)[1]


def _nearest(levels: Counts, counts: Counts) -> Counts:
    """The places of the levels next to some counts."""
    above = np.searchsorted(levels, counts).clip(1, len(levels) - 1) if len(levels) > 1 else np.zeros_like(counts)
    below = (above - 1).clip(0)
    return np.where(counts - levels[below] < levels[above] - counts, below, above)


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
