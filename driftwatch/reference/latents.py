"""Latents of samples under a flow, in batches with a fixed number of rows or a multiple of it.

A row's result does not depend on the other rows of its batch, so a sample has the same latent, bit for bit, however the
stream is cut into batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from driftwatch.data.schema import Coerced
from driftwatch.flows.base import Flow, device_of, standard_normal_log_prob
from driftwatch.flows.image import ImageFlow
from driftwatch.flows.vector import VectorFlow
from driftwatch.stats.summary import Array

T = TypeVar("T")

BATCH_SIZE = 64
GPU_BATCH_SIZE = 1_024
"""A GPU takes hardly longer for so many than for fewer (benchmarks/scoring.py)."""

BULK_BATCH_SIZES = ((64, 1_024), (65_536, 512))
"""(most dimensions, rows) for vectors whose flow is a CPU kernel: the remaining work is a few hundred calls per batch,
so larger batches pay off as long as they fit the cache (benchmarks/NOTES.md)."""

LATENT_LIMIT = 1e4
NLL_LIMIT = 1e9


@dataclass(frozen=True)
class Latents:
    """Latents of ``N`` samples: NumPy arrays, or torch tensors on a GPU.

    Args:
        blocks: one ``(N, P_s, l_s)`` array per block.
        nll: in nats, ``(N,)``.
        observed: the flow's input: raw images, ``(N, C, H, W)``, or the features of rows, ``(N, D)``.
        numbers: a vector's own numbers, ``(N, D)``, within bounds; of zero width for images and tables.
    """

    blocks: tuple[NDArray[np.float32], ...]
    nll: Array
    observed: NDArray[np.floating]
    numbers: Array


def fixed_batches(
    samples: Coerced, batch_size: int = BATCH_SIZE, multiple: int | None = None
) -> Iterator[tuple[Coerced, int]]:
    """Cut samples ``(N, ...)`` into batches, the last one padded; yields each with its number of real rows.

    Args:
        samples: to be cut.
        batch_size: most rows per batch.
        multiple: every batch has a multiple of so many rows; `batch_size` if None, so all have that many rows.
    """
    multiple = multiple or batch_size
    start = 0
    while start < len(samples):
        whole = (len(samples) - start) // multiple * multiple
        batch = samples[start : start + min(whole or multiple, batch_size)]
        if whole:
            yield batch, len(batch)
        else:
            padded = np.zeros((multiple, *samples.shape[1:]), dtype=samples.dtype)
            padded[: len(batch)] = batch
            yield padded, len(batch)
        start += len(batch)


def each_batch(
    flow: Flow, function: Callable[[Coerced, int], T], batches: Iterable[tuple[Coerced, int]]
) -> Iterator[tuple[T, int]]:
    """Apply a function to each of `fixed_batches`; yields results in order, with the number of real rows.

    PyTorch distributes the layers of one batch over its threads. Kernels on a CPU use a single thread each, so there
    as many batches as threads are processed at once.
    """
    threads = torch.get_num_threads() if flow.batch_invariant else 1
    left = iter(batches)
    ahead = list(islice(left, 2 if threads > 1 else 0))
    if len(ahead) < 2:
        yield from ((function(batch, count), count) for batch, count in chain(ahead, left))
    else:
        yield from _at_once(threads, function, chain(ahead, left))


def _at_once(
    threads: int, function: Callable[[Coerced, int], T], batches: Iterable[tuple[Coerced, int]]
) -> Iterator[tuple[T, int]]:
    begun: deque[tuple[Future[T], int]] = deque()
    try:
        # Otherwise each worker would start its own team of PyTorch threads: a process with 16 had 288.
        with ThreadPoolExecutor(threads, "batch", torch.set_num_threads, (1,)) as pool:
            for batch, count in batches:
                begun.append((pool.submit(function, batch, count), count))
                if len(begun) > threads:
                    first, real = begun.popleft()
                    yield first.result(), real
            yield from ((each.result(), count) for each, count in begun)
    finally:
        # The last setting, by whatever thread, applies to threads that start later.
        torch.set_num_threads(threads)


def batch_rows(flow: Flow) -> tuple[int, int]:
    """The largest number of rows per batch for a flow on its device, and the number that it is a multiple of."""
    if device_of(flow).type != "cpu":
        return GPU_BATCH_SIZE, GPU_BATCH_SIZE
    if isinstance(flow, ImageFlow) or not flow.batch_invariant:
        return BATCH_SIZE, BATCH_SIZE
    return next(rows for most, rows in BULK_BATCH_SIZES if flow.dim <= most), BATCH_SIZE


@torch.inference_mode()
def flow_latents(flow: Flow, samples: Tensor, count: int | None = None) -> Latents:
    """Latents of raw samples ``(B, *sample_shape)``, all on the flow's device.

    Args:
        flow: in evaluation mode.
        samples: one batch.
        count: number of real samples, all if None; the latents of the other rows are arbitrary.
    """
    image = isinstance(flow, ImageFlow)
    raw = samples.to(torch.float32 if image else torch.float64)
    x = flow.prepare(raw, noise="content")
    z, log_det = _passed(flow, x.to(torch.float32), len(x) if count is None else count)
    nll = -(standard_normal_log_prob(z) + log_det)
    observed = raw if image else x.to(torch.float64)
    if isinstance(flow, VectorFlow) and not flow.features.shared:
        numbers = flow.features.bounded(raw)
    else:
        numbers = raw.new_empty(len(raw), 0)
    return Latents(
        tuple(_as_array(_bounded(block, LATENT_LIMIT)) for block in z),
        _as_array(_bounded(nll, NLL_LIMIT).to(torch.float64)),
        _as_array(observed),
        _as_array(numbers),
    )


def _passed(flow: Flow, x: Tensor, count: int) -> tuple[tuple[Tensor, ...], Tensor]:
    """Apply the flow, leaving out padding rows if the flow's results do not depend on the batch."""
    missing = len(x) - count
    if not missing or not flow.batch_invariant:
        found: tuple[tuple[Tensor, ...], Tensor] = flow(x)
        return found
    z, log_det = flow(x[:count])
    return tuple(F.pad(block, (0, 0, 0, 0, 0, missing)) for block in z), F.pad(log_det, (0, missing))


def batch_latents(flow: Flow, batch: Coerced, count: int | None = None) -> Latents:
    """Latents of one batch of raw samples ``(B, *sample_shape)``, as NumPy arrays; see `flow_latents`."""
    found = flow_latents(flow, torch.from_numpy(batch).to(device_of(flow)), count)
    return Latents(
        tuple(map(on_host, found.blocks)), on_host(found.nll), on_host(found.observed), on_host(found.numbers)
    )


def latents_of(flow: Flow, samples: Coerced) -> Latents:
    """Latents of samples ``(N, *sample_shape)``, as NumPy arrays."""
    parts = list(each_batch(flow, partial(batch_latents, flow), fixed_batches(samples, *batch_rows(flow))))
    return Latents(
        tuple(np.concatenate([part.blocks[s][:n] for part, n in parts]) for s in range(len(flow.blocks))),
        np.concatenate([part.nll[:n] for part, n in parts]),
        np.concatenate([part.observed[:n] for part, n in parts]),
        np.concatenate([part.numbers[:n] for part, n in parts]),
    )


def on_host(values: NDArray[Any]) -> NDArray[Any]:
    """The NumPy array of values, which may be a tensor on a GPU."""
    return values.cpu().numpy() if isinstance(values, Tensor) else values


def _bounded(values: Tensor, limit: float) -> Tensor:
    """Clamp values: a sample far outside the reference may overflow the flow, but must stay finite and extreme."""
    return torch.nan_to_num(values, nan=limit, posinf=limit, neginf=-limit).clamp(-limit, limit)


def _as_array(values: Tensor) -> NDArray[Any]:
    return values.numpy() if values.device.type == "cpu" else values  # type: ignore[return-value]
