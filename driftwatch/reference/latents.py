"""Latents of samples under a flow, in batches of a fixed number of rows, or of a multiple of it.

A row's result does not depend on the other rows of such a batch, so the same sample has the same latent, bit for bit,
however the stream happened to be cut.
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
from driftwatch.stats.summary import Array

T = TypeVar("T")

BATCH_SIZE = 64
GPU_BATCH_SIZE = 1_024
"""A GPU takes hardly longer for so many: benchmarks/scoring.py."""

BULK_BATCH_SIZES = ((64, 1_024), (65_536, 512))
"""Of vectors of up to so many dimensions, where a kernel passes them through the flow: what is done beside it is some
hundred calls a batch. Larger batches of longer vectors would not stay in the cache: benchmarks/NOTES.md."""

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


def fixed_batches(
    samples: Coerced, batch_size: int = BATCH_SIZE, multiple: int | None = None
) -> Iterator[tuple[Coerced, int]]:
    """Cuts samples ``(N, ...)`` into batches, the last one padded, and says how many of each one's rows are real.

    Args:
        samples: to be cut.
        batch_size: the most rows of a batch.
        multiple: of which their number is one; `batch_size`, if None: all batches have that many rows.
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
    """What a function makes of each of `fixed_batches`, in their order, and how many of its rows are real.

    PyTorch shares a batch's layers among its threads. Kernels on a CPU leave them idle, so that as many batches are
    worked on at once there, by one thread each.
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
        # Each would have a team of PyTorch's threads to itself otherwise: a process with 16 came to 288.
        with ThreadPoolExecutor(threads, "batch", torch.set_num_threads, (1,)) as pool:
            for batch, count in batches:
                begun.append((pool.submit(function, batch, count), count))
                if len(begun) > threads:
                    first, real = begun.popleft()
                    yield first.result(), real
            yield from ((each.result(), count) for each, count in begun)
    finally:
        # Threads that begin later have as many as were set last, by whatever thread.
        torch.set_num_threads(threads)


def batch_rows(flow: Flow) -> tuple[int, int]:
    """The most rows of a flow's batches, and of what their number is a multiple, as suits its device."""
    if device_of(flow).type != "cpu":
        return GPU_BATCH_SIZE, GPU_BATCH_SIZE
    if isinstance(flow, ImageFlow) or not flow.batch_invariant:
        return BATCH_SIZE, BATCH_SIZE
    return next(rows for most, rows in BULK_BATCH_SIZES if flow.dim <= most), BATCH_SIZE


@torch.inference_mode()
def flow_latents(flow: Flow, samples: Tensor, count: int | None = None) -> Latents:
    """Latents of raw samples ``(B, *sample_shape)``, all on the flow's device.

    Args:
        flow: to pass them through.
        samples: a batch of them.
        count: how many are real; what the latents of the others are does not matter. All, if None.
    """
    image = isinstance(flow, ImageFlow)
    raw = samples.to(torch.float32 if image else torch.float64)
    x = flow.prepare(raw, noise="content")
    z, log_det = _passed(flow, x.to(torch.float32), len(x) if count is None else count)
    nll = -(standard_normal_log_prob(z) + log_det)
    observed = raw if image else x.to(torch.float64)
    return Latents(
        tuple(_as_array(_bounded(block, LATENT_LIMIT)) for block in z),
        _as_array(_bounded(nll, NLL_LIMIT).to(torch.float64)),
        _as_array(observed),
    )


def _passed(flow: Flow, x: Tensor, count: int) -> tuple[tuple[Tensor, ...], Tensor]:
    """Through the flow, but for rows that are not real where the others do not depend on them."""
    missing = len(x) - count
    if not missing or not flow.batch_invariant:
        found: tuple[tuple[Tensor, ...], Tensor] = flow(x)
        return found
    z, log_det = flow(x[:count])
    return tuple(F.pad(block, (0, 0, 0, 0, 0, missing)) for block in z), F.pad(log_det, (0, missing))


def batch_latents(flow: Flow, batch: Coerced, count: int | None = None) -> Latents:
    """Latents of one batch of raw samples ``(B, *sample_shape)``, as NumPy's arrays; see `flow_latents`."""
    found = flow_latents(flow, torch.from_numpy(batch).to(device_of(flow)), count)
    return Latents(tuple(map(on_host, found.blocks)), on_host(found.nll), on_host(found.observed))


def latents_of(flow: Flow, samples: Coerced) -> Latents:
    """Latents of samples ``(N, *sample_shape)``, as NumPy's arrays."""
    parts = list(each_batch(flow, partial(batch_latents, flow), fixed_batches(samples, *batch_rows(flow))))
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
