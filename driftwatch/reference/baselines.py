"""Common alternatives, on raw values: MMD with a Gaussian kernel, and feature-wise KS with Bonferroni correction.

References:
    Gretton et al., "A kernel two-sample test" (JMLR 2012).
    Rabanser et al., "Failing loudly" (arXiv 1810.11953): univariate KS tests combined by Bonferroni.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

REFERENCE_SAMPLES = 1_000


class Baseline(Protocol):
    """A two-sample statistic against a fixed reference sample; larger means more drift."""

    name: str

    def statistic(self, window: NDArray[np.floating]) -> float:
        """The statistic of one window ``(n, *sample_shape)``."""


class MaximumMeanDiscrepancy:
    """Squared MMD with a Gaussian kernel, whose bandwidth is the median distance within the reference."""

    name = "mmd"

    def __init__(self, reference: NDArray[np.floating]) -> None:
        self._reference = _flat(reference)
        distances = _squared_distances(self._reference, self._reference)
        self._bandwidth = max(float(np.median(distances[distances > 0])), 1e-12)
        self._within = float(np.exp(-distances / self._bandwidth).mean())

    def statistic(self, window: NDArray[np.floating]) -> float:
        """The biased estimate, which is also defined for windows of one sample."""
        flat = _flat(window)
        across = np.exp(-_squared_distances(flat, self._reference) / self._bandwidth).mean()
        inside = np.exp(-_squared_distances(flat, flat) / self._bandwidth).mean()
        return float(inside - 2.0 * across + self._within)


class KolmogorovSmirnov:
    """The largest KS statistic over all features, in which the Bonferroni-corrected p-value is monotone."""

    name = "ks"

    def __init__(self, reference: NDArray[np.floating]) -> None:
        self._ordered = np.sort(_flat(reference), axis=0)

    def statistic(self, window: NDArray[np.floating]) -> float:
        """The two-sided statistic, maximized over features."""
        flat = np.sort(_flat(window), axis=0)
        n, worst = len(flat), 0.0
        # The distance is largest at or just before a value of the window: between these, only the reference changes.
        for values, reference in zip(flat.T, self._ordered.T, strict=True):
            for side in ("left", "right"):
                ours = np.searchsorted(values, values, side=side) / n
                theirs = np.searchsorted(reference, values, side=side) / len(reference)
                worst = max(worst, float(np.abs(ours - theirs).max()))
        return worst


def baselines(reference: NDArray[np.floating], *, seed: int = 0) -> tuple[Baseline, ...]:
    """The baselines, fitted to samples of the first half of `reference`, ``(N, *sample_shape)``."""
    half = reference[: max(1, len(reference) // 2)]
    chosen = np.random.default_rng(seed).permutation(len(half))[:REFERENCE_SAMPLES]
    return MaximumMeanDiscrepancy(half[chosen]), KolmogorovSmirnov(half[chosen])


def _flat(samples: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rows of finite features: a missing value counts as zero, as in a typical feature matrix."""
    return np.nan_to_num(samples.reshape(len(samples), -1).astype(np.float64))


def _squared_distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    distances = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2.0 * a @ b.T
    return np.asarray(np.maximum(distances, 0.0))
