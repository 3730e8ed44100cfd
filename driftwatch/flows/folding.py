"""Inference-time folding: a copy of a flow in which everything independent of the samples is precomputed."""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from driftwatch.flows.base import Flow
from driftwatch.flows.image import MAX_LOG_SCALE, Conditioner
from driftwatch.flows.linear import linear
from driftwatch.flows.mix import InvertibleMix


class FoldedMix(nn.Module):
    """An `InvertibleMix` as one matrix product with a constant log-determinant."""

    weight: Tensor
    bias: Tensor

    def __init__(self, mix: InvertibleMix) -> None:
        super().__init__()
        weight, bias = mix.affine()
        self.register_buffer("weight", weight.contiguous())
        self.register_buffer("bias", bias)
        self.log_det = float(mix.log_det_per_position())

    def forward(self, x: Tensor) -> tuple[Tensor, float]:
        """Like `InvertibleMix.forward`."""
        return linear(x, self.weight, self.bias), math.prod(x.shape[1:-1]) * self.log_det

    def inverse(self, y: Tensor) -> Tensor:
        """The inverse of `forward`."""
        columns: Tensor = torch.linalg.solve(self.weight, (y - self.bias).reshape(-1, y.shape[-1]).T)
        return columns.T.view_as(y)


class FoldedConditioner(nn.Module):
    """A `Conditioner` with channels-last weights; on a GPU, convolution, bias and ReLU are one kernel."""

    def __init__(self, conditioner: Conditioner) -> None:
        super().__init__()
        self.first, self.middle, self.last = conditioner.first, conditioner.middle, conditioner.last
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Like `Conditioner.forward`, in the type of the weights."""
        del dtype
        out = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        out = _rectified(self.middle, _rectified(self.first, out))
        shift, raw = self.last(out).permute(0, 2, 3, 1).chunk(2, dim=3)
        return shift, MAX_LOG_SCALE * torch.tanh(raw / MAX_LOG_SCALE)


@torch.no_grad()
def fold(flow: Flow) -> Flow:
    """A copy that computes the same function faster, for scoring only: in evaluation mode and without gradients.

    Actnorms are merged into the 1x1 convolutions that follow them, and LU factors are multiplied out.
    """
    twin = copy.deepcopy(flow).eval().requires_grad_(requires_grad=False)
    for module in list(twin.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, InvertibleMix):
                setattr(module, name, FoldedMix(child))
            elif isinstance(child, Conditioner):
                setattr(module, name, FoldedConditioner(child))
    return twin


def _rectified(layer: nn.Conv2d, x: Tensor) -> Tensor:
    if not x.is_cuda:
        return F.relu_(layer(x))
    padding = [side // 2 for side in layer.kernel_size]
    return torch.cudnn_convolution_relu(
        x, layer.weight, layer.bias, layer.stride, padding, layer.dilation, layer.groups
    )
