"""Which kernels a flow is scored by: those of a GPU, of a CPU, or PyTorch's layer by layer."""

from __future__ import annotations

import torch

from driftwatch.flows.base import Flow, device_of
from driftwatch.flows.image import ImageFlow
from driftwatch.flows.vector import VectorFlow
from driftwatch.kernels.cpu.compiled import lanes_of
from driftwatch.kernels.gpu.compiled import compiles_for


@torch.no_grad()
def with_kernels(flow: Flow) -> Flow:
    """The same folded flow of float32, done by kernels where that can be.

    On NVIDIA's GPUs there are some for images. They round factors to 10 bits, so that there are none where convolutions
    are to be as exact as float32. On a CPU they are as exact as the layers.
    """
    device = device_of(flow)
    if lanes := lanes_of(device):
        return _with_those_of_a_cpu(flow, lanes)
    if isinstance(flow, ImageFlow) and compiles_for(device):
        _with_those_of_a_gpu(flow, device)
    return flow


def _with_those_of_a_gpu(flow: ImageFlow, device: torch.device) -> None:
    from driftwatch.kernels.gpu.noise import content_noise_of
    from driftwatch.kernels.gpu.scale import kernels_of

    flow.content_noise = content_noise_of
    if torch.backends.cudnn.allow_tf32:
        flow.kernels = kernels_of(flow, device)
        flow.takes_pixels = 0 in flow.kernels


def _with_those_of_a_cpu(flow: Flow, lanes: int) -> Flow:
    from driftwatch.kernels.cpu.scale import kernels_of
    from driftwatch.kernels.cpu.vector_flow import kernel_of

    if isinstance(flow, ImageFlow):
        flow.kernels = kernels_of(flow, lanes)
        flow.batch_invariant = bool(flow.kernels)
    elif isinstance(flow, VectorFlow):
        flow.kernel = kernel_of(flow, lanes)
        flow.batch_invariant = flow.kernel is not None
    return flow
