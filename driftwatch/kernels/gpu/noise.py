"""Content noise in one GPU kernel (`content_noise.cu`)."""

from __future__ import annotations

import torch
from torch import Tensor

from driftwatch.flows.base import content_noise
from driftwatch.kernels.gpu.compiled import kernel_for

THREADS = 256
BYTES = 8
CONSTANTS = (("THREADS", THREADS),)


def content_noise_of(x: Tensor) -> Tensor:
    """Equal to `driftwatch.flows.base.content_noise` to the bit."""
    kernel = kernel_for(x.device, "content_noise", threads=THREADS, shared=THREADS // 32 * BYTES, constants=CONSTANTS)
    if kernel is None:
        return content_noise(x)
    rows = x.to(torch.float32).contiguous()
    noise = torch.empty_like(rows)
    kernel(len(rows), rows, noise, rows.shape[1])
    return noise.to(x.dtype)
