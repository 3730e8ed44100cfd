"""CPU kernels for vector flows: all layers in one function (`splines.py`)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from driftwatch.flows.folding import FoldedMix
from driftwatch.flows.vector import CouplingLayer, VectorFlow
from driftwatch.kernels.cpu.compiled import function_of
from driftwatch.kernels.cpu.products import COLUMNS, outputs_of
from driftwatch.kernels.cpu.splines import VectorShape, code_of


class VectorKernel:
    """A vector flow on a CPU, computed by the calling thread.

    Args:
        shape: of its code.
        function: compiled for that shape.
        weights: of each layer, as returned by `packed`, and of the last mix.
        layers: number of layers.
        log_det: of all mixes.
    """

    def __init__(
        self, shape: VectorShape, function: Callable[..., None], weights: Tensor, layers: int, log_det: float
    ) -> None:
        self.shape, self.layers, self.log_det = shape, layers, log_det
        self._function, self._weights = function, weights

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map features ``(N, dim)`` to all latent dimensions ``(N, dim)``, and log-determinants ``(N,)``."""
        shape, count = self.shape, len(x)
        groups = max(1, -(-count // (COLUMNS * shape.lanes)))
        filled = F.pad(x, (0, 0, 0, groups * COLUMNS * shape.lanes - count))
        features = filled.view(groups, COLUMNS, shape.lanes, shape.dim).transpose(2, 3).contiguous()
        log_dets = x.new_zeros(groups, COLUMNS, shape.lanes)
        scratch = x.new_empty(sum(shape.scratch.values()), shape.lanes)
        self._function(features, self._weights, scratch, log_dets, groups, self.layers)
        z = features.transpose(2, 3).reshape(-1, shape.dim)[:count]
        return z, log_dets.flatten()[:count] + self.log_det


def kernel_of(flow: VectorFlow, lanes: int) -> VectorKernel | None:
    """The kernel of a folded flow; None for a single dimension, which has nothing to be conditioned on."""
    if flow.dim < 2:
        return None
    shape = VectorShape(flow.dim, flow.hidden, flow.bins, lanes)
    layers = [each for each in flow.layers if isinstance(each, CouplingLayer)]
    mixes = [_folded(each) for each in (*layers, flow)]
    last = _product(shape, mixes[-1].weight, mixes[-1].bias)
    weights = torch.cat([*(packed(shape, each) for each in layers), last])
    log_det = sum(each.log_det for each in mixes)
    return VectorKernel(shape, function_of(code_of, shape), weights, len(layers), log_det)


def packed(shape: VectorShape, layer: CouplingLayer) -> Tensor:
    """A layer's weights in the order in which the code reads them, ``(sum of shape.weights,)``."""
    mix, network = _folded(layer), layer.conditioner
    linears = (network.first, *network.middle, network.last)
    products = [(each.weight, each.bias) for each in linears if isinstance(each, nn.Linear)]
    return torch.cat([_product(shape, *each) for each in [(mix.weight, mix.bias), *products]])


def _folded(module: nn.Module) -> FoldedMix:
    (mix,) = (each for each in module.children() if isinstance(each, FoldedMix))
    return mix


def _product(shape: VectorShape, weight: Tensor, bias: Tensor) -> Tensor:
    """Biases, then the weights of outputs that are summed at once, factor by factor."""
    some, missing = outputs_of(shape.lanes), shape.filled(len(bias)) - len(bias)
    weight, bias = F.pad(weight.detach(), (0, 0, 0, missing)), F.pad(bias.detach(), (0, missing))
    return torch.cat([bias, weight.view(-1, some, weight.shape[1]).transpose(1, 2).flatten()])
