"""The memory of a stream: how far its samples resemble their successors, and how many are worth one independent sample.

The mean of ``L`` consecutive samples varies ``tau`` times as much as that of independent ones, if ``L`` is large
enough; so ``N`` samples carry as much information as ``N / tau`` independent ones, the effective sample size.

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
"""Probability of finding memory where there is none, whatever the number of quantities."""

BLOCK_MEMORIES = 15
"""Length of a block in memories. The loss at the joints of blocks is corrected for (`Memory.inflation`), so blocks need
not be long, and many short ones combine into more different streams: with blocks of 50 memories, the rates of
references differed by half as much again (``python -m benchmarks.memory``)."""

MIN_BLOCKS = 20
"""Least number of blocks to draw from; they are shortened to reach it."""


@dataclass(frozen=True)
class Memory:
    """The memory of a stream.

    Args:
        tau: samples that are worth one independent sample; 1 without memory.
        block: consecutive samples to draw together.
    """

    tau: float
    block: int

    @property
    def inflation(self) -> float:
        """The factor on deviations of sums drawn in blocks, which vary too little.

        Samples on both sides of a joint of two blocks do not resemble each other. With a memory that fades
        exponentially, each joint loses ``(tau^2 - 1) / 2`` of a sample's variance; each sample adds ``tau`` to the
        variance of a sum.
        """
        return float((1.0 - (self.tau**2 - 1.0) / (2.0 * self.tau * self.block)) ** -0.5) if self.block > 1 else 1.0


NONE = Memory(1.0, 1)


def measure_memory(values: Array) -> Memory:
    """Measure the memory of consecutive samples, over the quantities that have any.

    Args:
        values: quantities of each sample, ``(N, V)``, at least 100 samples.

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
    # The largest of many estimates is large by chance, too, so the mean of those that stand out is used.
    tau = float(inflation[notable].mean())
    return Memory(tau, max(1, min(int(np.ceil(BLOCK_MEMORIES * tau)), len(values) // (2 * MIN_BLOCKS))))
