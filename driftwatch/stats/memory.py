"""How long a stream remembers: over how many samples one resembles the next, and how many samples are worth one.

The mean of ``L`` samples in a row varies ``tau`` times as much as that of independent ones, once ``L`` is long enough;
``N`` of them tell as much as ``N / tau`` independent ones, the effective sample size.

References:
    Kuensch, "The jackknife and the bootstrap for general stationary observations" (1989): blocks are resampled.
    Flegal and Jones, "Batch means and spectral variance estimators in Markov chain Monte Carlo" (2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

from driftwatch.stats.summary import Array

BATCHES = 50
CHANCE = 1e-3
"""Of a memory where there is none, whatever the number of quantities."""

BLOCK_MEMORIES = 15
"""Memories in a block. What is lost where blocks meet is made up for (`Memory.inflation`), so that blocks need not be
long, and of many short ones a stream can be put together in more ways: with 50 of them rates of references differed by
half as much again (``python -m benchmarks.memory``)."""

MIN_BLOCKS = 20
"""Blocks to draw from, at least, even if they are shorter then."""


@dataclass(frozen=True)
class Memory:
    """Of a stream.

    Args:
        tau: samples that are worth one independent sample; 1 without memory.
        block: samples in a row to draw together.
    """

    tau: float
    block: int

    @property
    def inflation(self) -> float:
        """What deviations of samples that are drawn in blocks are multiplied by, since they vary too little.

        Where two blocks meet, samples do not resemble each other. A memory that fades exponentially loses
        ``(tau^2 - 1) / 2`` of a sample's variance there, of the ``tau`` that each sample adds to that of a sum.
        """
        return float((1.0 - (self.tau**2 - 1.0) / (2.0 * self.tau * self.block)) ** -0.5) if self.block > 1 else 1.0


NONE = Memory(1.0, 1)


def measure_memory(values: Array) -> Memory:
    """The memory of samples in their order, by the quantity that remembers longest.

    Args:
        values: what is measured of each sample, ``(N, V)``, at least 100 samples.

    >>> rng = np.random.default_rng(0)
    >>> noise = rng.standard_normal((20_000, 10))
    >>> measure_memory(noise)
    Memory(tau=1.0, block=1)
    >>> for i in range(1, len(noise)):
    ...     noise[i] += 0.9 * noise[i - 1]
    >>> 15 < measure_memory(noise).tau < 25        # (1 + 0.9) / (1 - 0.9) = 19
    True
    """
    batch = len(values) // BATCHES
    used = values[: batch * BATCHES]
    variance = used.var(0)
    varies = variance > 1e-12 * max(float(variance.max()), 1e-300)
    means = used[:, varies].reshape(BATCHES, batch, -1).mean(1)
    inflation = batch * means.var(0, ddof=1) / variance[varies]
    notable = inflation > chdtri(BATCHES - 1, CHANCE / max(1, len(inflation))) / (BATCHES - 1)
    if not notable.any():
        return NONE
    # The largest of many is large by chance, too: the upper end of those that stand out is taken by its mean.
    tau = float(inflation[notable].mean())
    return Memory(tau, max(1, min(int(np.ceil(BLOCK_MEMORIES * tau)), len(values) // (2 * MIN_BLOCKS))))
