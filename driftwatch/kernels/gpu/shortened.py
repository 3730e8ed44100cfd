"""Shortening of vectors to a limit in one GPU kernel (`shorten.cu`)."""

from __future__ import annotations

import torch
from torch import Tensor

from driftwatch.kernels.gpu.compiled import kernel_for

THREADS = 256
CONSTANTS = (("THREADS", THREADS),)
VECTORS = THREADS // 32
"""Vectors per block of threads."""


def shortened(vectors: Tensor, limit: float | Tensor) -> Tensor | None:
    """Vectors ``(..., l)``, those longer than a limit shortened to it; None without a kernel."""
    if vectors.dtype != torch.float64:
        return None
    kernel = kernel_for(vectors.device, "shorten", threads=THREADS, constants=CONSTANTS)
    if kernel is None:
        return None
    given = vectors.contiguous()
    shorter = torch.empty_like(given)
    count, length = given.shape[:-1].numel(), given.shape[-1]
    number, place = (0.0, limit.to(given)) if isinstance(limit, Tensor) else (float(limit), None)
    kernel(-(-count // VECTORS), given, shorter, count, length, number, place)
    return shorter
