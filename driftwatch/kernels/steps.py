"""What kernels need of a folded image flow: each step's weights, and the log-determinant that no sample changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from driftwatch.flows.folding import FoldedMix
from driftwatch.flows.image import FlowStep, ImageFlow


@dataclass(frozen=True)
class StepWeights:
    """Of a step, or of a split, which mixes nothing.

    Args:
        mix: matrix and shift of the 1x1 convolution; None of a split.
        convolutions: the three of the coupling.
    """

    mix: tuple[Tensor, Tensor] | None
    convolutions: tuple[nn.Conv2d, ...]


def steps_of(flow: ImageFlow, scale: int) -> Iterator[StepWeights]:
    """The steps of a folded flow's scale, and its split where there is one."""
    for step in _steps(flow, scale):
        mix = _mix(step)
        yield StepWeights((mix.weight, mix.bias), _convolutions(step.conditioner))
    if scale < flow.scales - 1:
        yield StepWeights(None, _convolutions(flow.splits[scale]))


def constant_log_det(flow: ImageFlow, scale: int) -> float:
    """Of a scale's 1x1 convolutions, for one sample."""
    height, width = (side >> scale + 1 for side in flow.padded)
    return math.fsum(height * width * _mix(step).log_det for step in _steps(flow, scale))


def _steps(flow: ImageFlow, scale: int) -> Iterator[FlowStep]:
    return (each for each in flow.stages[scale].children() if isinstance(each, FlowStep))


def _mix(step: FlowStep) -> FoldedMix:
    (mix,) = (each for each in step.children() if isinstance(each, FoldedMix))
    return mix


def _convolutions(conditioner: nn.Module) -> tuple[nn.Conv2d, ...]:
    """The three, folded or not."""
    return tuple(each for each in conditioner.children() if isinstance(each, nn.Conv2d))
