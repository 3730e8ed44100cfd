"""Whether data drifts within: its parts, in the order in which it came, are held against the whole.

The samples are cut into grains, each a run of neighbours, and ten slices of as many grains are tested as windows are.
If the order means nothing, any other order of the grains could as well have been: the mean square of the ten combined
statistics is ranked among those of random orders (a permutation test: exact, whatever the statistic). On flights in
their order it found more than the largest of the ten. Neighbours stay together, so that what is only alike over a
short while is no drift.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftwatch.reference.columns import OfCategories, moved_columns
from driftwatch.stats.null import features, fit_window_null, join
from driftwatch.stats.summary import Array, Layout

SLICES = 10
GRAINS = 10
"""In a slice."""

ORDERS = 500
"""That are compared, the true one among them."""

AT_A_TIME = 20
MOST_SAMPLES = 4_000
"""Slices of 400 then: what they do not show, windows of about that size would not show either."""


@dataclass(frozen=True)
class Order:
    """What the order of samples shows.

    Args:
        p_value: the probability that a random order differs as much; a multiple of ``1 / ORDERS``.
        effects: divergence of each slice, debiased by that of random ones, nats per sample.
        most: which slice differs most.
        moved: the columns that moved in it, in words; empty where columns have no names.
    """

    p_value: float
    effects: tuple[float, ...]
    most: int
    moved: tuple[str, ...]


def examine_order(
    summaries: NDArray[np.floating],
    layout: Layout,
    names: Sequence[str] = (),
    unordered: Collection[str] = (),
    of_categories: OfCategories | None = None,
    *,
    seed: int,
) -> Order:
    """Tests whether the order of samples means something.

    Args:
        summaries: of single samples, in order, ``(N, V)``, `SLICES` of them or more.
        layout: of the summaries.
        names: of the features of a row, if they have any.
        unordered: those among them that neither rise nor fall.
        of_categories: what is said of a column's categories, if anything is.
        seed: of the random orders.
    """
    count = min(GRAINS, len(summaries) // SLICES) * SLICES
    size = len(summaries) // count
    # What is too much for grains of one size is left out evenly, not at the end.
    kept = summaries[np.arange(count * size) * len(summaries) // (count * size)]
    grains = kept.reshape(count, size, -1).sum(1, dtype=np.float64)
    rng = np.random.default_rng(seed)
    orders = np.stack([np.arange(count), *(rng.permutation(count) for _ in range(ORDERS - 1))])
    measured = join([features(_slices(grains, some), layout) for some in np.split(orders, ORDERS // AT_A_TIME)])
    tested = fit_window_null(measured, layout, count * size // SLICES).judge(measured)
    statistics = tested.statistics["combined"].reshape(ORDERS, SLICES)
    most = int(np.argmax(statistics[0]))
    differs_most = _slices(grains, orders[:1])[most, None]
    (moved,) = moved_columns(differs_most, layout, names, unordered=unordered, of_categories=of_categories)
    strength = np.square(statistics).mean(1)
    return Order(
        p_value=float((strength >= strength[0]).mean()),
        effects=tuple(tested.effect[:SLICES].tolist()),
        most=most,
        moved=tuple(moved),
    )


def _slices(grains: Array, orders: NDArray[np.int64]) -> Array:
    """The slices of some orders, one order after another, ``(K * SLICES, V)``."""
    return np.asarray(grains[orders].reshape(len(orders) * SLICES, -1, grains.shape[1]).sum(1))
