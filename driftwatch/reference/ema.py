"""An exponential moving average of weights, which performs better than the weights of any single step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class MovingAverage:
    """The average of a model's weights over its last steps.

    Args:
        parameters: of the model.
        decay: weight of the old average at each step; less in the first steps, whose weights are far from later ones.
    """

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        self._parameters = tuple(parameters)
        self._decay = decay
        self.values = [parameter.detach().clone() for parameter in parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Include the weights after `step`, which counts from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_mul_(self.values, decay)
        torch._foreach_add_(self.values, [parameter.detach() for parameter in self._parameters], alpha=1.0 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Temporarily replace the model's weights by the average."""
        before = [parameter.detach().clone() for parameter in self._parameters]
        copy_weights(self._parameters, self.values)
        try:
            yield
        finally:
            copy_weights(self._parameters, before)


@torch.no_grad()
def copy_weights(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Set parameters to values."""
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)
