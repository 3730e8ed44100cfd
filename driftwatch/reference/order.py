"""Tests whether data drifts within itself: slices of the data, in its order, are compared with the whole.

The samples are divided into grains, each a run of neighbours, and ten slices of as many grains are tested like windows.
If the order has no meaning, any other order of the grains is equally likely, so the mean square of the ten combined
statistics is ranked among those of random orders (a permutation test: exact for any statistic). On flights in their
order, it found more than the largest of the ten. Neighbours stay together, so resemblance over a short while alone does
not count as drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftwatch.reference.columns import RowFeatures, moved_columns
from driftwatch.stats.null import features, fit_window_null, join
from driftwatch.stats.summary import Array, Layout

SLICES = 10
GRAINS = 10
"""Grains per slice."""

ORDERS = 500
"""Orders that are compared, including the true one."""

AT_A_TIME = 20
MOST_SAMPLES = 4_000
"""Gives slices of 400: drift that they do not show would not show in windows of about that size either."""


@dataclass(frozen=True)
class Order:
    """What the order of samples reveals.

    Args:
        p_value: the probability that a random order differs at least as much; a multiple of ``1 / ORDERS``.
        effects: divergence of each slice, debiased by that of random slices, nats per sample.
        most: index of the slice that differs most.
        moved: the columns that moved in it, in words; empty if columns have no names.
    """

    p_value: float
    effects: tuple[float, ...]
    most: int
    moved: tuple[str, ...]


def examine_order(
    summaries: NDArray[np.floating],
    layout: Layout,
    named: RowFeatures | None = None,
    *,
    seed: int,
) -> Order:
    """Test whether the order of samples has a meaning.

    Args:
        summaries: of single samples, in order, ``(N, V)``, at least `SLICES` of them.
        layout: of the summaries.
        named: the features of a row, if they have names.
        seed: of the random orders.
    """
    count = min(GRAINS, len(summaries) // SLICES) * SLICES
    size = len(summaries) // count
    # Samples in excess of equal grains are dropped evenly, not at the end.
    kept = summaries[np.arange(count * size) * len(summaries) // (count * size)]
    grains = kept.reshape(count, size, -1).sum(1, dtype=np.float64)
    rng = np.random.default_rng(seed)
    orders = np.stack([np.arange(count), *(rng.permutation(count) for _ in range(ORDERS - 1))])
    measured = join([features(_slices(grains, some), layout) for some in np.split(orders, ORDERS // AT_A_TIME)])
    tested = fit_window_null(measured, layout, count * size // SLICES).judge(measured)
    statistics = tested.statistics["combined"].reshape(ORDERS, SLICES)
    most = int(np.argmax(statistics[0]))
    (moved,) = moved_columns(_slices(grains, orders[:1])[most, None], layout, named)
    strength = np.square(statistics).mean(1)
    return Order(
        p_value=float((strength >= strength[0]).mean()),
        effects=tuple(tested.effect[:SLICES].tolist()),
        most=most,
        moved=tuple(moved),
    )


def _slices(grains: Array, orders: NDArray[np.int64]) -> Array:
    """The slices of several orders, one order after another, ``(K * SLICES, V)``."""
    return np.asarray(grains[orders].reshape(len(orders) * SLICES, -1, grains.shape[1]).sum(1))
