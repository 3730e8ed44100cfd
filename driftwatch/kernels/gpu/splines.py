"""Rational-quadratic splines and their gradients, one GPU kernel each (`spline.cu`, `spline_gradients.cu`)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from driftwatch.flows import spline
from driftwatch.kernels.gpu.compiled import Kernel, kernel_for

THREADS = 128
"""Per block, one per value."""

BYTES = 4
MOST_BINS = 16
"""Above, a block's parameters may not fit into its shared memory."""


def rational_quadratic_spline(x: Tensor, parameters: Tensor, *, inverse: bool = False) -> tuple[Tensor, Tensor]:
    """Like `driftwatch.flows.spline.rational_quadratic_spline`, by kernels if `x` and `parameters` are float32."""
    bins = (parameters.shape[-1] + 1) // 3
    kernels = None if inverse or x.dtype != torch.float32 else _kernels(x.device, bins)
    if kernels is None:
        return spline.rational_quadratic_spline(x, parameters, inverse=inverse)
    found: tuple[Tensor, Tensor] = _Spline.apply(x, parameters, *kernels)
    return found


class _Spline(torch.autograd.Function):
    """The spline of values ``(...)`` with parameters ``(..., 3 * bins - 1)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, parameters: Tensor, kernel: Kernel, gradients: Kernel) -> tuple[Tensor, Tensor]:
        x, parameters = x.contiguous(), parameters.contiguous()
        ctx.save_for_backward(x, parameters)
        ctx.gradients = gradients
        mapped, log_slopes = torch.empty_like(x), torch.empty_like(x)
        kernel(_blocks(x), x, parameters, mapped, log_slopes, x.numel())
        return mapped, log_slopes

    @staticmethod
    def backward(ctx: Any, *of_results: Tensor) -> tuple[Tensor | None, ...]:
        x, parameters = ctx.saved_tensors
        of_mapped, of_log_slopes = (each.contiguous() for each in of_results)
        of_x, of_parameters = torch.empty_like(x), torch.empty_like(parameters)
        ctx.gradients(_blocks(x), x, parameters, of_mapped, of_log_slopes, of_x, of_parameters, x.numel())
        return of_x, of_parameters, None, None


def _kernels(device: torch.device, bins: int) -> tuple[Kernel, Kernel] | None:
    if bins > MOST_BINS:
        return None
    shared = BYTES * THREADS * spline.parameter_count(bins)
    constants = (("BINS", bins), ("THREADS", THREADS), ("SHARED", shared))
    found = [
        kernel_for(device, name, threads=THREADS, shared=shared, constants=constants, parts=("bin.cu",))
        for name in ("spline", "spline_gradients")
    ]
    forward, gradients = found
    return (forward, gradients) if forward and gradients else None


def _blocks(x: Tensor) -> int:
    return -(-x.numel() // THREADS)
