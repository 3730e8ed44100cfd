"""Divergence of windows on a GPU, with one kernel launch per block of the latent (`divergence.cu`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from driftwatch.kernels.gpu.compiled import Kernel, kernel_for

BYTES = 8
FEW = 16
"""Dimensions of a sub-vector up to which `FEW_THREADS` eliminate as fast as more threads."""

FEW_THREADS, MANY_THREADS = 64, 256


@dataclass(frozen=True)
class Block:
    """The position of a block's sums in summaries.

    Args:
        vectors: sub-vectors per sample.
        length: dimensions of a sub-vector.
        first: index of ``sum u``.
        second: index of ``sum u u^T``.
    """

    vectors: int
    length: int
    first: int
    second: int


def divergences(summaries: Tensor, blocks: Sequence[Block]) -> Tensor | None:
    """The divergence of windows ``(M, V)`` from the reference, nats, ``(M,)``; None without a kernel."""
    if summaries.dtype != torch.float64:
        return None
    found = [_kernel(summaries.device, block.length) for block in blocks]
    kernels = [kernel for kernel in found if kernel]
    if len(kernels) < len(blocks):
        return None
    given = summaries.contiguous()
    total = given.new_empty(len(given))
    for which, (kernel, block) in enumerate(zip(kernels, blocks, strict=True)):
        kernel(len(given), given, total, given.shape[1], block.vectors, block.first, block.second, which)
    return total


def _kernel(device: torch.device, length: int) -> Kernel | None:
    threads = FEW_THREADS if length <= FEW else MANY_THREADS
    shared = BYTES * (length**2 + length + threads // 32)
    constants = (("LENGTH", length), ("THREADS", threads), ("SHARED", shared))
    return kernel_for(device, "divergence", threads=threads, shared=shared, constants=constants)
