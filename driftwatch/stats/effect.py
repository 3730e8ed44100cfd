"""Effect size: how far a window is from the reference, in nats per sample, beyond what chance explains.

No function of samples can be farther from the reference than the samples themselves are (data processing), so several
statistics of a window are lower bounds of its divergence. The effect is the largest of these bounds, each less its
mean under the null for that window size, so it is comparable between small and large windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.stats.summary import Array


@dataclass(frozen=True)
class EffectSize:
    """Debiases the bounds of windows of one size.

    Args:
        chance: null mean of each bound, nats per sample, ``(E,)``.
        most: null mean of the largest debiased bound.
        deviation: null standard deviation of the effect, nats per sample.
    """

    chance: Array
    most: float
    deviation: float

    def __call__(self, bounds: Array) -> Array:
        """The effect of windows with bounds ``(M, E)``, ``(M,)``, nats per sample; about 0 under the null."""
        return np.asarray((bounds - self.chance).max(1) - self.most)


def fit_effect_size(bounds: Array) -> EffectSize:
    """Fit to the bounds of null windows, ``(M, E)``."""
    chance = bounds.mean(0)
    largest = (bounds - chance).max(1)
    return EffectSize(chance, float(largest.mean()), float(largest.std()))


def bounds(divergence: Array, hotelling: Array, surprise: Array, size: int) -> Array:
    """Lower bounds of the divergence of ``M`` windows, nats per sample, ``(M, 1 + G + 1)``.

    Args:
        divergence: of the latents, ``(M,)``, nats per sample.
        hotelling: statistics of groups whose averages measure location, ``(M, G)``: standard normal averages that moved
            by ``m`` are ``|m|^2 / 2`` nats away. Groups of products are excluded: they move wherever all values do, and
            would count that twice.
        surprise: mean of the samples' surprise, ``(M,)``. It is exponential under the reference, and no distribution
            with mean ``m`` is closer to that than ``m - 1 - ln m``.
        size: samples in a window.
    """
    more = np.maximum(surprise, 1.0)
    return np.column_stack([divergence, hotelling / (2 * size), more - 1.0 - np.log(more)])
