"""How far a window is from the reference, in nats per sample: what remains of its statistics when chance is taken off.

What is measured of samples cannot be farther from the reference than the samples are, so that several statistics of a
window bound its divergence from below. The effect is the largest of these bounds, each less what it comes to by chance
in windows of that size: it tells the same of small windows as of large ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.stats.summary import Array


@dataclass(frozen=True)
class EffectSize:
    """What is taken off the bounds of windows of one size.

    Args:
        chance: null mean of each bound, nats per sample, ``(E,)``.
        most: null mean of the largest bound that remains.
        deviation: null standard deviation of the effect, nats per sample.
    """

    chance: Array
    most: float
    deviation: float

    def __call__(self, bounds: Array) -> Array:
        """The effect of windows with bounds ``(M, E)``, ``(M,)``, nats per sample; by chance about 0."""
        return np.asarray((bounds - self.chance).max(1) - self.most)


def fit_effect_size(bounds: Array) -> EffectSize:
    """Fits what chance does to bounds, from draws of the null, ``(M, E)``."""
    chance = bounds.mean(0)
    largest = (bounds - chance).max(1)
    return EffectSize(chance, float(largest.mean()), float(largest.std()))


def bounds(divergence: Array, hotelling: Array, surprise: Array, size: int) -> Array:
    """Bounds on the divergence of ``M`` windows of `size` samples, nats per sample, ``(M, 1 + G + 1)``.

    Args:
        divergence: of the latents, ``(M,)``, nats per sample.
        hotelling: statistic of groups whose averages tell where samples lie, ``(M, G)``: standard normal averages that
            moved by ``m`` are ``|m|^2 / 2`` nats from where they were. Products of values are no such group: where all
            values move, so do they, and would be counted as well.
        surprise: mean of the samples' surprise, ``(M,)``, which is exponential under the reference: no distribution
            with mean ``m`` is closer to that than ``m - 1 - ln m``.
    """
    more = np.maximum(surprise, 1.0)
    return np.column_stack([divergence, hotelling / (2 * size), more - 1.0 - np.log(more)])
