"""Latents of samples under a flow, in batches of one fixed shape.

A row's result does not depend on the other rows of such a batch, so the same sample has the same latent, bit for bit,
however the stream happened to be cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from driftwatch.flows.base import Flow, standard_normal_log_prob
from driftwatch.flows.image import ImageFlow
from driftwatch.stats.summary import Array

BATCH_SIZE = 64
LATENT_LIMIT = 1e4
NLL_LIMIT = 1e9


@dataclass(frozen=True)
class Latents:
    """Latents of ``N`` samples.

    Args:
        blocks: one ``(N, P_s, l_s)`` array a block.
        nll: in nats, ``(N,)``.
        observed: what the flow was given: images as they came, ``(N, C, H, W)``, or the features of rows, ``(N, D)``.
    """

    blocks: tuple[NDArray[np.float32], ...]
    nll: Array
    observed: NDArray[np.floating]


def fixed_batches(
    samples: NDArray[np.floating], batch_size: int = BATCH_SIZE
) -> Iterator[tuple[NDArray[np.floating], int]]:
    """Cuts samples ``(N, ...)`` into batches of exactly `batch_size` rows, and says how many rows are real."""
    for start in range(0, len(samples), batch_size):
        batch = samples[start : start + batch_size]
        if len(batch) == batch_size:
            yield batch, batch_size
        else:
            padded = np.zeros((batch_size, *samples.shape[1:]), dtype=samples.dtype)
            padded[: len(batch)] = batch
            yield padded, len(batch)


@torch.inference_mode()
def batch_latents(flow: Flow, batch: NDArray[np.floating]) -> Latents:
    """Latents of one batch of raw samples ``(B, *sample_shape)``."""
    device = next(flow.parameters()).device
    image = isinstance(flow, ImageFlow)
    raw: NDArray[np.floating] = batch.astype(np.float32) if image else batch.astype(np.float64)
    x = flow.prepare(torch.from_numpy(raw).to(device), noise="content")
    observed: NDArray[np.floating] = raw if image else x.cpu().numpy().astype(np.float64)
    z, log_det = flow(x.to(torch.float32))
    nll = -(standard_normal_log_prob(z) + log_det)
    return Latents(
        tuple(_bounded(block, LATENT_LIMIT) for block in z),
        _bounded(nll, NLL_LIMIT).astype(np.float64),
        observed,
    )


def latents_of(flow: Flow, samples: NDArray[np.floating]) -> Latents:
    """Latents of samples ``(N, *sample_shape)``."""
    parts = [(batch_latents(flow, batch), count) for batch, count in fixed_batches(samples)]
    return Latents(
        tuple(np.concatenate([part.blocks[s][:n] for part, n in parts]) for s in range(len(flow.blocks))),
        np.concatenate([part.nll[:n] for part, n in parts]),
        np.concatenate([part.observed[:n] for part, n in parts]),
    )


def _bounded(values: torch.Tensor, limit: float) -> NDArray[np.float32]:
    """A sample far outside the reference may overflow the flow; it stays finite and stays extreme."""
    return torch.nan_to_num(values, nan=limit, posinf=limit, neginf=-limit).clamp(-limit, limit).cpu().numpy()
