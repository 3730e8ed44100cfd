"""AUROC with a bootstrap interval, which resamples the windows of each side with replacement."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 400
LEVEL = 0.95

Array = NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


def auroc_interval(reference: Array, shifted: Array) -> Interval:
    """The area under the ROC curve, counting ties as one half, with its percentile interval.

    The samples within each window are taken as given: the interval leaves out the uncertainty of a limited data set.
    """
    ordered = np.argsort(reference, kind="stable")
    sorted_reference = reference[ordered]
    below, upto = (np.searchsorted(sorted_reference, shifted, side=side) for side in ("left", "right"))
    placed = 0.5 * (below + upto) / len(reference)
    weights = _weights(len(reference), 0)[:, ordered]
    total = np.concatenate([np.zeros((RESAMPLES, 1)), np.cumsum(weights, axis=1)], axis=1)
    among = 0.5 * (total[:, below] + total[:, upto]) / len(reference)
    resampled = (among * _weights(len(shifted), 1)).mean(axis=1)
    return Interval(float(placed.mean()), *_bounds(resampled))


def mean_interval(values: Array) -> Interval:
    """The mean of `values` with its percentile interval."""
    return Interval(float(values.mean()), *_bounds((_weights(len(values), 0) * values).mean(axis=1)))


def median_interval(values: Array) -> Interval:
    """The median of `values` with its percentile interval."""
    rows = np.random.default_rng(2).integers(0, len(values), (RESAMPLES, len(values)))
    return Interval(float(np.median(values)), *_bounds(np.median(values[rows], axis=1)))


def _bounds(resampled: Array) -> tuple[float, float]:
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


@cache
def _weights(count: int, seed: int) -> Array:
    """How often each resample draws each of `count` windows, ``(RESAMPLES, count)``; the same for all contenders."""
    rows = np.random.default_rng((seed, count)).integers(0, count, (RESAMPLES, count))
    rows += count * np.arange(RESAMPLES)[:, None]
    return np.bincount(rows.ravel(), minlength=RESAMPLES * count).reshape(RESAMPLES, count).astype(np.float64)
