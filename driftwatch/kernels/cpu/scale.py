"""CPU kernels for image flows: all steps of one scale in one function (`couplings.py`)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from driftwatch.flows.image import ImageFlow
from driftwatch.kernels.cpu.compiled import function_of
from driftwatch.kernels.cpu.couplings import POINTS, SIDE, ScaleShape, code_of
from driftwatch.kernels.steps import StepWeights, constant_log_det, steps_of

HIDDEN_MULTIPLE = 8


class ScaleKernel:
    """One scale on a CPU, computed by the calling thread.

    Args:
        shape: of its code.
        function: compiled for that shape.
        weights: of each step, as returned by `packed`, ``(steps, words)``.
        log_det: of all 1x1 convolutions, for one sample.
        split: whether half of the channels leave.
    """

    def __init__(
        self, shape: ScaleShape, function: Callable[..., None], weights: Tensor, log_det: float, *, split: bool
    ) -> None:
        self.shape, self.log_det, self.split = shape, log_det, split
        self._function, self._weights = function, weights

    def __call__(self, x: Tensor, log_det: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `driftwatch.flows.image.Scale`."""
        shape, count = self.shape, len(x)
        groups = max(1, -(-count // shape.lanes))
        filled = F.pad(x, (0, 0) * 3 + (0, groups * shape.lanes - count))
        squeezed = (groups, shape.lanes, shape.height, 2, shape.width, 2, shape.channels // 4)
        images = filled.reshape(squeezed).permute(0, 2, 4, 6, 3, 5, 1).contiguous()
        log_dets = x.new_zeros(groups, shape.lanes)
        scratch = x.new_zeros(sum(shape.scratch.values()), shape.lanes)
        self._function(images, self._weights, scratch, log_dets, groups, len(self._weights))
        transformed = images.view(groups, shape.height, shape.width, shape.channels, shape.lanes)
        z = transformed.permute(0, 4, 1, 2, 3).reshape(-1, shape.height, shape.width, shape.channels)[:count]
        log_det = log_det + (log_dets.flatten()[:count] + self.log_det)
        if not self.split:
            return z, z[..., :0], log_det
        staying, leaving = z.chunk(2, dim=3)
        return leaving, staying, log_det


def shape_of(flow: ImageFlow, scale: int, lanes: int) -> ScaleShape:
    """The shape of a scale's code on a CPU with `lanes` numbers per vector."""
    height, width = (side >> scale + 1 for side in flow.padded)
    return ScaleShape(height, width, flow.image_shape[0] * 2 ** (scale + 2), flow.hidden, lanes)


def kernels_of(flow: ImageFlow, lanes: int) -> dict[int, ScaleKernel]:
    """The kernels of a folded flow's scales; none if hidden layers are no multiple of the outputs summed at once."""
    if flow.hidden % HIDDEN_MULTIPLE:
        return {}
    return {scale: kernel_of(flow, scale, lanes) for scale in range(flow.scales)}


def kernel_of(flow: ImageFlow, scale: int, lanes: int) -> ScaleKernel:
    """The kernel of one scale."""
    shape = shape_of(flow, scale, lanes)
    weights = torch.stack([packed(shape, step) for step in steps_of(flow, scale)])
    split = scale < flow.scales - 1
    return ScaleKernel(shape, function_of(code_of, shape), weights, constant_log_det(flow, scale), split=split)


def packed(shape: ScaleShape, step: StepWeights) -> Tensor:
    """A step's weights in the order in which its code reads them, ``(sum of shape.weights,)``."""
    first, middle, last = step.convolutions
    # A split is conditioned by what stays and transforms what leaves, so the halves are swapped first.
    matrix, shift = step.mix or (torch.eye(shape.channels).roll(shape.half, 0), torch.zeros(shape.channels))
    parts = {
        "matrix": matrix,
        "shift": shift,
        "first bias": step.biases[0],
        "middle bias": step.biases[1],
        "last bias": step.biases[2],
        "first": _points(first)
        .permute(2, 1, 3, 0)
        .reshape(-1, shape.hidden // shape.pointed, shape.pointed)
        .transpose(0, 1),
        "middle": middle[:, :, 0, 0].T.reshape(shape.hidden, -1, shape.outputs).transpose(0, 1),
        "last": _points(last.flip(3)).reshape(-1, shape.pointed, shape.hidden, SIDE, POINTS).permute(3, 0, 2, 4, 1),
    }
    return torch.cat([parts[name].flatten() for name in shape.weights])


def _points(taps: Tensor) -> Tensor:
    """Rows of three taps ``(..., 3)`` as polynomials: their values at 0, half those at 1 and -1, and the last one."""
    a, b, c = taps.unbind(-1)
    return torch.stack([a, (a + b + c) / 2, (a - b + c) / 2, c], dim=-1)
