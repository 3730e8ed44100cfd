"""Names the categories of a column that moved most in a window.

A column's values are counted in shares that are cut between categories (see `driftwatch.stats.descriptors`), so each
share is that of one category, or of a few rare ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from driftwatch.data.schema import Column, TableSchema
from driftwatch.flows.features import FeatureTransform
from driftwatch.reference.columns import percent
from driftwatch.reference.description import Description
from driftwatch.stats.descriptors import MARGINALS
from driftwatch.stats.summary import Array

OTHERS = "other values"
NAMED = 3
"""At most so many categories of a share are named, the commonest first."""

LONGEST = 40
"""Longer names are cut to so many characters."""

CLOSE = 1e-9


@dataclass(frozen=True)
class CategoryShares:
    """The shares of categories in a reference's columns.

    Args:
        usual: the reference's shares, ``(columns, shares)``.
        unwhitened: maps a window's mean standard vector to the differences from these shares, without the last share
            of each column.
        missing: the part of each share that comes from missing values, which are spread over all shares,
            ``(columns, shares)``.
        names: by column, the names of the categories of each share.
    """

    usual: Array
    unwhitened: Array
    missing: Array
    names: Mapping[int, Sequence[str]]

    def phrase(self, column: int, name: str, standard: Array) -> str:
        """The categories of a column that moved most, in words; empty if its categories are not counted apart.

        Args:
            column: its index.
            name: its name.
            standard: the window's mean standard vector of marginals, ``(K,)``.
        """
        if column not in self.names:
            return ""
        width = self.usual.shape[1] - 1
        moved = standard @ self.unwhitened[:, column * width : (column + 1) * width]
        moved = np.append(moved, -moved.sum())
        before = self.usual[column] - self.missing[column]
        named = np.array([bool(each) for each in self.names[column]])
        most = int(np.argmax(named * np.square(moved) / np.maximum(before, CLOSE)))
        now = max(0.0, before[most] + moved[most])
        categories = self.names[column][most]
        return f"{name} is {categories} in {percent(now)} of rows ({percent(before[most])} in the reference)"


def category_shares(
    schema: TableSchema, features: FeatureTransform, description: Description, missing: Array
) -> CategoryShares | None:
    """The shares of a reference's columns of categories; None if marginals are not described.

    Args:
        schema: the schema of a row.
        features: the transform of its columns.
        description: the descriptors of samples.
        missing: the share of missing values in each column, ``(columns,)``.
    """
    group = next((each for each in description.groups.each if each.name == MARGINALS), None)
    if group is None:
        return None
    cuts = ndtr(description.edges[: len(schema.columns)])
    width = cuts.shape[1]
    held = group.mean.reshape(-1, width)[: len(cuts)]
    ends = np.concatenate([np.zeros((len(cuts), 1)), cuts, np.ones((len(cuts), 1))], axis=1)
    below, upto = (each.cpu().numpy() for each in (features.below, features.upto))
    names = {
        j: found
        for j, column in enumerate(schema.columns)
        if column.kind == "category" and (found := _names(column, below[j], upto[j], ends[j]))
    }
    return CategoryShares(
        usual=np.concatenate([held, 1.0 - held.sum(1, keepdims=True)], axis=1),
        unwhitened=np.asarray(np.linalg.inv(group.whitener), dtype=np.float64),
        missing=np.diff(ends) * missing[:, None],
        names=names,
    )


def _names(column: Column, below: Array, upto: Array, ends: Array) -> list[str]:
    """The names of each share between `ends`; empty if these cut through categories, as in bundles of format 3."""
    below, upto = below[: column.unseen], upto[: column.unseen]
    inside = (below[:, None] + CLOSE < ends) & (ends < upto[:, None] - CLOSE)
    if not column.unseen or bool(inside.any()):
        return []
    place = np.searchsorted(ends, (below + upto) / 2, side="right") - 1
    return [_listed(column, np.flatnonzero(place == share), upto - below) for share in range(len(ends) - 1)]


def _listed(column: Column, places: NDArray[np.intp], shares: Array) -> str:
    """The names of the categories and classes at the given indices, commonest first; classes are named together."""
    count, own = len(column.others), places[places < len(column.categories)]
    known = [(-shares[place], column.categories[place][:LONGEST]) for place in own.tolist()]
    if len(classes := places[len(own) :]):
        first, last = (int(place) - len(column.categories) + 1 for place in classes[[0, -1]])
        which = f" ({first} to {last} of {count})" if last > first else f" ({first} of {count})"
        known.append((-shares[classes].sum(), OTHERS + (which if len(classes) < count else "")))
    names = [name for _, name in sorted(known)]
    if names[NAMED:]:
        names = [*names[:NAMED], f"{len(names) - NAMED} more"]
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
