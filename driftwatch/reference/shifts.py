"""What a shift of columns does to other descriptors: a column that rose has other products and shares, too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from driftwatch.reference.description import Description
from driftwatch.stats.descriptors import MARGINALS, PAIRS
from driftwatch.stats.summary import Array


@dataclass(frozen=True)
class Shifts:
    """Finds what shifts of standard normal features leave unexplained in windows' mean standard descriptors.

    Whitening matters: where columns are correlated, mean standard products may be many times the square of a shift.

    Args:
        products: the whitener of the products of all pairs of ``D`` features, ``(D (D + 1) / 2, K)``; None if there are
            no such products.
        shares: the whitener of the shares of values, ``(D * edges, L)``; None if they are not counted.
        edges: between the shares of each feature, ``(D, edges)``.
    """

    products: Array | None
    shares: Array | None
    edges: Array

    def beyond_products(self, moved: Array, means: Array) -> Array:
        """What shifts leave of mean standard products.

        Args:
            moved: the shift of each feature, 0 for none, ``(M, D)``.
            means: of the windows, ``(M, K)``.
        """
        if self.products is None:
            return means
        one, other = np.triu_indices(moved.shape[1])
        return _beyond(means, (moved[:, one] * moved[:, other]) @ self.products)

    def beyond_shares(self, moved: Array, means: Array) -> Array:
        """Likewise of mean standard shares of values, ``(M, L)``."""
        if self.shares is None:
            return means
        below = ndtr(self.edges - moved[:, :, None]) - ndtr(self.edges)
        return _beyond(means, np.diff(below, axis=2, prepend=0.0).reshape(len(means), -1) @ self.shares)


def shifts_of(description: Description) -> Shifts:
    """What shifts do to the descriptors of a reference's rows."""
    whiteners = {group.name: group.whitener for group in description.groups.each}
    features, projected = description.projection.shape
    products = whiteners.get(PAIRS) if features == projected else None
    return Shifts(products, whiteners.get(MARGINALS), description.edges)


def _beyond(means: Array, expected: Array) -> Array:
    """The difference of means from what is expected, of which they may also show less: long vectors are shortened."""
    return np.asarray(means - np.clip(means, np.minimum(expected, 0.0), np.maximum(expected, 0.0)))
