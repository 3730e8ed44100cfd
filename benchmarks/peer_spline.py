"""A reference's vector flow with normflows' couplings: the same function, for comparing speed.

Each linear map between couplings is one matrix product, as in our folded form; normflows would solve triangular
systems.
"""

from __future__ import annotations

import math
from typing import Any

import normflows as nf
import torch
from torch import Tensor, nn

from driftwatch.flows.base import standard_normal_log_prob
from driftwatch.flows.spline import TAIL_BOUND, UNIT_SLOPE
from driftwatch.flows.vector import CouplingLayer, VectorFlow


class PeerSplines(nn.Module):
    """The likelihood of a `VectorFlow`, computed by normflows.

    Args:
        flow: the flow whose weights are copied.
    """

    def __init__(self, flow: VectorFlow) -> None:
        super().__init__()
        layers = [each for each in flow.layers if isinstance(each, CouplingLayer)]
        self.couplings = nn.ModuleList(_coupling(each, flow.bins) for each in layers)
        mixes = [*(each.mix for each in layers), flow.last_mix]
        self.mixes = nn.ModuleList(_linear(*each.affine()) for each in mixes)
        self.log_det = sum(float(each.log_det_per_position()) for each in mixes)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of features ``(N, dim)``, nats, ``(N,)``."""
        log_det = x.new_full((len(x),), self.log_det)
        for mix, coupling in zip(self.mixes[:-1], self.couplings, strict=True):
            x, moved = coupling(mix(x))
            log_det = log_det + moved
        return log_det + standard_normal_log_prob((self.mixes[-1](x),))


@torch.no_grad()
def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    made = nn.Linear(*weight.shape)
    made.weight.copy_(weight)
    made.bias.copy_(bias)
    return made


@torch.no_grad()
def _coupling(layer: CouplingLayer, bins: int) -> Any:
    network: Any = layer.conditioner
    hidden = network.first.out_features
    mask = torch.cat([torch.zeros(layer.kept), torch.ones(layer.parameter_shape[0])])
    made = nf.flows.neural_spline.coupling.PiecewiseRationalQuadraticCoupling(
        mask,
        lambda inputs, outputs: nf.nets.ResidualNet(inputs, outputs, hidden, num_blocks=2),
        num_bins=bins,
        tails="linear",
        tail_bound=TAIL_BOUND,
    )
    theirs = made.transform_net
    middle = [each for block in theirs.blocks for each in block.linear_layers]
    for one, other in zip(
        (theirs.initial_layer, *middle, theirs.final_layer), (network.first, *network.middle, network.last), strict=True
    ):
        one.weight.copy_(other.weight)
        one.bias.copy_(other.bias)
    # normflows scales the inputs of widths and heights by 1/sqrt(hidden), and offsets those of slopes differently.
    sizes = torch.arange(3 * bins - 1).repeat(layer.parameter_shape[0]) < 2 * bins
    theirs.final_layer.weight[sizes] *= math.sqrt(hidden)
    theirs.final_layer.bias[sizes] *= math.sqrt(hidden)
    theirs.final_layer.bias[~sizes] += UNIT_SLOPE
    theirs.final_layer = nn.Sequential(nn.ReLU(), theirs.final_layer)  # normflows omits this activation
    return made
