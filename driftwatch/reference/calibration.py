"""Calibration: moments of the latents and a bank of samples, both from data that the flow was not fitted on.

A null taken from training data makes every p-value too small, and the more so the larger the window (METHOD.md).
Moments come from all of the held-out data and the bank is half of it: windows drawn from the bank are then, in
expectation, exactly as far from the moments' mean as windows of fresh data are, ``1/N_bank - 1/N = 1/N`` (a bank that
is all of the data would sit on the mean, and one disjoint from it too far away).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftwatch.errors import TrainingError
from driftwatch.flows.base import Flow
from driftwatch.reference.description import fit_description
from driftwatch.reference.latents import latents_of
from driftwatch.stats.moments import fit_moments

MIN_SAMPLES = 200


def calibrate(
    flow: Flow,
    samples: NDArray[np.floating],
    fitted: NDArray[np.floating],
    *,
    bank_size: int = 5_000,
    seed: int = 0,
) -> dict[str, NDArray[np.floating]]:
    """Fits what a bundle needs beside the flow.

    Args:
        flow: fitted, in evaluation mode.
        samples: held-out reference samples, ``(N, *sample_shape)``.
        fitted: other reference samples, which the flow may have been fitted to; they only say which descriptors go
            together.
        bank_size: the most samples to keep for resampling nulls.
        seed: of the split into halves and of the random projection.

    Returns:
        Named arrays: the moments, the description, and the bank's latents, NLL and descriptors.

    Raises:
        TrainingError: if there are too few samples to calibrate with.
    """
    if len(samples) < MIN_SAMPLES:
        raise TrainingError(
            f"{len(samples)} held-out samples are too few to calibrate false alarms with",
            remedy=f"give at least {MIN_SAMPLES}: more data, or a larger training.calibration_fraction",
        )
    held_out, seen = latents_of(flow, samples), latents_of(flow, fitted)
    moments = fit_moments(held_out.blocks, held_out.nll, seed=seed)
    description, described = fit_description(
        flow,
        (seen, moments.whiten(seen.blocks, seen.nll)),
        (held_out, moments.whiten(held_out.blocks, held_out.nll)),
    )
    bank = np.random.default_rng(seed).permutation(len(samples))[: min(bank_size, len(samples) // 2)]
    arrays: dict[str, NDArray[np.floating]] = {**moments.to_arrays(), **description.to_arrays()}
    for s, z in enumerate(held_out.blocks):
        arrays[f"bank_latents.{s}"] = z[bank]
    for g, y in enumerate(described.groups):
        arrays[f"bank_groups.{g}"] = y[bank].astype(np.float32)
    arrays["bank_nll"] = held_out.nll[bank]
    return arrays
