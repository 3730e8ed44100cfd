"""Calibration: moments of the latents and a bank of samples, both from data that the flow was not fitted to.

A null from training data makes every p-value too small, the more so the larger the window (METHOD.md). The bank is one
half of the held-out data, and the moments are fitted to the other half, so the bank is as far from their mean as fresh
data may be. Of the other half, only the summed summary is stored (see `driftwatch.stats.resample`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftwatch.errors import TrainingError
from driftwatch.flows.base import Flow
from driftwatch.flows.folding import fold
from driftwatch.kernels.chosen import with_kernels
from driftwatch.reference.description import fit_description
from driftwatch.reference.latents import latents_of
from driftwatch.stats.memory import NONE, Memory
from driftwatch.stats.moments import fit_moments
from driftwatch.stats.summary import summarise_each

MIN_SAMPLES = 200


def calibrate(
    flow: Flow,
    samples: NDArray[np.floating],
    fitted: NDArray[np.floating],
    *,
    bank_size: int = 5_000,
    seed: int = 0,
    memory: Memory = NONE,
) -> dict[str, NDArray[np.floating]]:
    """Compute everything that a bundle needs beside the flow.

    Args:
        flow: fitted, in evaluation mode.
        samples: held-out reference samples, ``(N, *sample_shape)``.
        fitted: other reference samples, which the flow may have been fitted to; used only for correlations of
            descriptors.
        bank_size: most samples to store for resampling nulls; if the stream has memory, the later half is stored.
        seed: of the split into halves and of the random projection.
        memory: of the stream that the samples are a stretch of, in order.

    Returns:
        Named arrays: the moments, the description, the others' summary, and the bank's latents, NLL and descriptors.

    Raises:
        TrainingError: there are too few samples to calibrate with.
    """
    if len(samples) < MIN_SAMPLES:
        raise TrainingError(
            f"{len(samples)} held-out samples are too few to calibrate false alarms with",
            remedy=f"give at least {MIN_SAMPLES}: more data, or a larger training.calibration_fraction",
        )
    order = split_order(len(samples), memory, seed)
    size = len(samples) // 2 if memory.block > 1 else min(bank_size, len(samples) // 2)
    flow = with_kernels(fold(flow))
    bank, others, seen = (latents_of(flow, each) for each in (samples[order[:size]], samples[order[size:]], fitted))
    moments = fit_moments(others.blocks, others.nll, seed=seed)
    of_bank, of_others, of_seen = (moments.whiten(each.blocks, each.nll) for each in (bank, others, seen))
    description = fit_description(flow, (seen, of_seen), (others, of_others))
    described = description.describe(flow, bank, of_bank)
    arrays: dict[str, NDArray[np.floating]] = {**moments.to_arrays(), **description.to_arrays()}
    for s, z in enumerate(bank.blocks):
        arrays[f"bank_latents.{s}"] = z
    for g, y in enumerate(described.groups):
        arrays[f"bank_groups.{g}"] = y.astype(np.float32)
    arrays["bank_nll"] = bank.nll
    arrays["memory"] = np.array([memory.tau, memory.block])
    layout = description.layout(moments.layout(tuple(z.shape[1:] for z in others.blocks)))
    arrays["others"] = summarise_each(of_others, layout, description.describe(flow, others, of_others)).sum(0)
    return arrays


def split_order(count: int, memory: Memory, seed: int) -> NDArray[np.intp]:
    """Sample numbers, the bank's first: shuffled, or with memory the later half before the earlier, each in order."""
    if memory.block > 1:
        half = count // 2
        return np.concatenate([np.arange(half, count), np.arange(half)])
    return np.random.default_rng(seed).permutation(count)
