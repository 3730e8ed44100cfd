"""The choice of kernels for a flow: those for GPUs, those for CPUs, or PyTorch's layer by layer."""

from __future__ import annotations

import torch

from driftwatch.flows.base import Flow, device_of
from driftwatch.flows.image import ImageFlow
from driftwatch.flows.vector import CouplingLayer, VectorFlow
from driftwatch.kernels.cpu.compiled import lanes_of
from driftwatch.kernels.gpu.compiled import compiles_for


@torch.no_grad()
def with_kernels(flow: Flow) -> Flow:
    """Use kernels for a folded flow in float32, where possible; returns the same flow.

    On NVIDIA GPUs, those for images round factors to 10 bits, so they are not used if convolutions must have the full
    precision of float32. Those for vectors, and all on a CPU, are as exact as the layers.
    """
    device = device_of(flow)
    if lanes := lanes_of(device):
        return _use_cpu_kernels(flow, lanes)
    if isinstance(flow, ImageFlow) and compiles_for(device):
        _use_gpu_kernels(flow, device)
    return with_spline_kernels(flow)


def with_spline_kernels(flow: Flow) -> Flow:
    """Use kernels for a vector flow's splines and their gradients, where possible; returns the same flow."""
    if isinstance(flow, VectorFlow) and compiles_for(device_of(flow)):
        from driftwatch.kernels.gpu.splines import rational_quadratic_spline

        for layer in flow.modules():
            if isinstance(layer, CouplingLayer):
                layer.spline = rational_quadratic_spline
    return flow


def _use_gpu_kernels(flow: ImageFlow, device: torch.device) -> None:
    from driftwatch.kernels.gpu.noise import content_noise_of
    from driftwatch.kernels.gpu.scale import kernels_of

    flow.content_noise = content_noise_of
    if torch.backends.cudnn.allow_tf32:
        flow.kernels = kernels_of(flow, device)
        flow.takes_pixels = 0 in flow.kernels


def _use_cpu_kernels(flow: Flow, lanes: int) -> Flow:
    from driftwatch.kernels.cpu.scale import kernels_of
    from driftwatch.kernels.cpu.vector_flow import kernel_of

    if isinstance(flow, ImageFlow):
        flow.kernels = kernels_of(flow, lanes)
        flow.batch_invariant = bool(flow.kernels)
    elif isinstance(flow, VectorFlow):
        flow.kernel = kernel_of(flow, lanes)
        flow.batch_invariant = flow.kernel is not None
    return flow
