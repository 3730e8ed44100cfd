"""A reference's image flow, rebuilt from normflows' modules: the same function, for comparing speed.

normflows' Glow block maps latents to data; its inverse is actnorm, 1x1 convolution and affine coupling, as in ours.
"""

from __future__ import annotations

import math
from typing import Any

import normflows as nf
import torch
from torch import Tensor, nn

from driftwatch.flows.image import MAX_LOG_SCALE, FlowStep, ImageFlow, steps_of_stage
from driftwatch.flows.mix import InvertibleMix


class Bounded(nn.Module):
    """normflows' convolutional network with our bound on the log-scale; its outputs alternate shift and log-scale."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        shift, raw = self.net(x).chunk(2, dim=1)
        scale = -MAX_LOG_SCALE * torch.tanh(raw / MAX_LOG_SCALE)
        return torch.stack([-shift, scale], dim=2).flatten(1, 2)


class PeerGlow(nn.Module):
    """The likelihood of an `ImageFlow`, computed by normflows.

    Args:
        flow: the flow whose weights are copied.
    """

    def __init__(self, flow: ImageFlow) -> None:
        super().__init__()
        self.low, self.span = flow.low, flow.high - flow.low + flow.noise_width
        self.dim = flow.dim
        stages = (steps_of_stage(stage) for stage in flow.stages)
        self.stages: Any = nn.ModuleList(nn.ModuleList(map(_block, steps)) for steps in stages)
        self.splits: Any = nn.ModuleList(
            nf.flows.AffineCoupling(_network(each), scale_map="exp") for each in flow.splits
        )
        self.squeeze = nf.flows.Squeeze()

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of prepared images ``(N, C, H, W)``, nats, ``(N,)``."""
        z = (x - self.low) / self.span - 0.5
        log_det = z.new_full((len(z),), -self.dim * math.log(self.span))
        squares = z.new_zeros(len(z))
        for number, stage in enumerate(self.stages):
            z, _ = self.squeeze.inverse(z)
            for block in stage:
                z, moved = block.inverse(z)
                log_det = log_det + moved
            if number < len(self.splits):
                leaving, z = z.chunk(2, dim=1)
                (_, leaving), moved = self.splits[number].inverse([z, leaving])
                log_det = log_det + moved
                squares = squares + leaving.square().flatten(1).sum(1)
        squares = squares + z.square().flatten(1).sum(1)
        return log_det - 0.5 * (squares + self.dim * math.log(2 * math.pi))


def _block(step: FlowStep) -> Any:
    channels, hidden = len(step.mix.bias), step.conditioner.first.out_channels
    block = nf.flows.GlowBlock(channels, hidden, scale_map="exp")
    coupling, convolution, actnorm = block.flows
    coupling.flows[1].param_map = _network(step.conditioner)
    _copy_mix(step.mix, convolution, actnorm)
    return block


@torch.no_grad()
def _copy_mix(mix: InvertibleMix, convolution: Any, actnorm: Any) -> None:
    convolution.P.copy_(mix.permutation)
    convolution.L.copy_(mix.lower)
    convolution.U.copy_(mix.upper)
    convolution.log_S.copy_(mix.log_diagonal)
    convolution.sign_S.copy_(mix.sign)
    actnorm.s.copy_(-mix.log_scale.view_as(actnorm.s))
    actnorm.t.copy_(-mix.bias.view_as(actnorm.t))
    actnorm.data_dep_init_done.fill_(1.0)


@torch.no_grad()
def _network(conditioner: Any) -> Bounded:
    layers = conditioner.first, conditioner.middle, conditioner.last
    channels = (layers[0].in_channels, *(layer.out_channels for layer in layers))
    net = nf.nets.ConvNet2d(channels, (3, 1, 3))
    convolutions: list[Any] = [each for each in net.net if isinstance(each, nn.Conv2d)]
    for theirs, ours in zip(convolutions, layers, strict=True):
        theirs.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias)
    return Bounded(net)
