"""Which kernels a flow is scored by: those of a GPU, of a CPU, or PyTorch's layer by layer."""

from __future__ import annotations

import torch

from driftwatch.flows.base import Flow, device_of
from driftwatch.flows.image import ImageFlow
from driftwatch.kernels.cpu.compiled import lanes_of
from driftwatch.kernels.gpu.compiled import compiles_for


@torch.no_grad()
def with_kernels(flow: Flow) -> Flow:
    """The same folded flow of float32, its scales done by kernels where that can be.

    On NVIDIA's GPUs they round factors to 10 bits, so that there are none where convolutions are to be as exact as
    float32. On a CPU they are as exact as the layers.
    """
    device = device_of(flow)
    if not isinstance(flow, ImageFlow):
        return flow
    if torch.backends.cudnn.allow_tf32 and compiles_for(device):
        from driftwatch.kernels.gpu.scale import kernels_of

        flow.kernels = kernels_of(flow, device)
    elif lanes := lanes_of(device):
        from driftwatch.kernels.cpu.scale import kernels_of as kernels_here

        flow.kernels = kernels_here(flow, lanes)
        flow.batch_invariant = bool(flow.kernels)
    return flow
