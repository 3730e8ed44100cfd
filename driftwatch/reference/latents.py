"""Latents of samples under a flow, in batches of one fixed shape.

A row's result does not depend on the other rows of such a batch, so the same sample has the same latent, bit for bit,
however the stream happened to be cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from driftwatch.data.schema import Coerced
from driftwatch.flows.base import Flow, device_of, standard_normal_log_prob
from driftwatch.flows.image import ImageFlow
from driftwatch.stats.summary import Array

BATCH_SIZE = 64
GPU_BATCH_SIZE = 1_024
"""A GPU takes hardly longer for so many: benchmarks/scoring.py."""

LATENT_LIMIT = 1e4
NLL_LIMIT = 1e9


@dataclass(frozen=True)
class Latents:
    """Latents of ``N`` samples: NumPy's arrays, or torch's tensors on a GPU.

    Args:
        blocks: one ``(N, P_s, l_s)`` array a block.
        nll: in nats, ``(N,)``.
        observed: what the flow was given: images as they came, ``(N, C, H, W)``, or the features of rows, ``(N, D)``.
    """

    blocks: tuple[NDArray[np.float32], ...]
    nll: Array
    observed: NDArray[np.floating]


def fixed_batches(samples: Coerced, batch_size: int = BATCH_SIZE) -> Iterator[tuple[Coerced, int]]:
    """Cuts samples ``(N, ...)`` into batches of exactly `batch_size` rows, and says how many rows are real."""
    for start in range(0, len(samples), batch_size):
        batch = samples[start : start + batch_size]
        if len(batch) == batch_size:
            yield batch, batch_size
        else:
            padded = np.zeros((batch_size, *samples.shape[1:]), dtype=samples.dtype)
            padded[: len(batch)] = batch
            yield padded, len(batch)


def batch_size_on(device: torch.device) -> int:
    """Rows of the fixed-shape batches of a device."""
    return BATCH_SIZE if device.type == "cpu" else GPU_BATCH_SIZE


@torch.inference_mode()
def flow_latents(flow: Flow, samples: Tensor) -> Latents:
    """Latents of raw samples ``(B, *sample_shape)``, all on the flow's device."""
    image = isinstance(flow, ImageFlow)
    raw = samples.to(torch.float32 if image else torch.float64)
    x = flow.prepare(raw, noise="content")
    z, log_det = flow(x.to(torch.float32))
    nll = -(standard_normal_log_prob(z) + log_det)
    observed = raw if image else x.to(torch.float64)
    return Latents(
        tuple(_as_array(_bounded(block, LATENT_LIMIT)) for block in z),
        _as_array(_bounded(nll, NLL_LIMIT).to(torch.float64)),
        _as_array(observed),
    )


def batch_latents(flow: Flow, batch: Coerced) -> Latents:
    """Latents of one batch of raw samples ``(B, *sample_shape)``, as NumPy's arrays."""
    found = flow_latents(flow, torch.from_numpy(batch).to(device_of(flow)))
    return Latents(tuple(map(on_host, found.blocks)), on_host(found.nll), on_host(found.observed))


def latents_of(flow: Flow, samples: Coerced) -> Latents:
    """Latents of samples ``(N, *sample_shape)``, as NumPy's arrays."""
    batches = fixed_batches(samples, batch_size_on(device_of(flow)))
    parts = [(batch_latents(flow, batch), count) for batch, count in batches]
    return Latents(
        tuple(np.concatenate([part.blocks[s][:n] for part, n in parts]) for s in range(len(flow.blocks))),
        np.concatenate([part.nll[:n] for part, n in parts]),
        np.concatenate([part.observed[:n] for part, n in parts]),
    )


def on_host(values: NDArray[Any]) -> NDArray[Any]:
    """NumPy's array of values that are one already, or a tensor on a GPU."""
    return values.cpu().numpy() if isinstance(values, Tensor) else values


def _bounded(values: Tensor, limit: float) -> Tensor:
    """A sample far outside the reference may overflow the flow; it stays finite and stays extreme."""
    return torch.nan_to_num(values, nan=limit, posinf=limit, neginf=-limit).clamp(-limit, limit)


def _as_array(values: Tensor) -> NDArray[Any]:
    return values.numpy() if values.device.type == "cpu" else values  # type: ignore[return-value]
