"""The parts of a folded image flow that kernels need: each step's weights, and the constant log-determinants."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from driftwatch.flows.folding import FoldedMix
from driftwatch.flows.image import FlowStep, ImageFlow, steps_of_stage


@dataclass(frozen=True)
class StepWeights:
    """The weights of a flow step, or of a split, which has no 1x1 convolution.

    Args:
        mix: matrix ``(C, C)`` and shift ``(C,)`` of the 1x1 convolution; None for a split.
        convolutions: weights of the coupling's three convolutions, ``(outputs, inputs, side, side)`` each.
        biases: of these convolutions, ``(outputs,)`` each.
    """

    mix: tuple[Tensor, Tensor] | None
    convolutions: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]


def steps_of(flow: ImageFlow, scale: int) -> Iterator[StepWeights]:
    """The steps of one scale of a folded flow, and its split if it has one."""
    for step in steps_of_stage(flow.stages[scale]):
        mix = _mix(step)
        yield StepWeights((mix.weight, mix.bias), *_coupling(step.conditioner))
    if scale < flow.scales - 1:
        yield StepWeights(None, *_coupling(flow.splits[scale]))


def constant_log_det(flow: ImageFlow, scale: int) -> float:
    """The log-determinant of a scale's 1x1 convolutions, for one sample."""
    height, width = (side >> scale + 1 for side in flow.padded)
    return math.fsum(height * width * _mix(step).log_det for step in steps_of_stage(flow.stages[scale]))


def _mix(step: FlowStep) -> FoldedMix:
    (mix,) = (each for each in step.children() if isinstance(each, FoldedMix))
    return mix


def _coupling(conditioner: nn.Module) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Weights and biases of a conditioner's convolutions, folded or not."""
    layers = [each for each in conditioner.children() if isinstance(each, nn.Conv2d)]
    biases = tuple(each.bias.detach() for each in layers if each.bias is not None)
    return tuple(each.weight.detach() for each in layers), biases
