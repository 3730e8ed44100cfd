"""An exponential moving average of weights, which is better than any of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class MovingAverage:
    """The average of a model's weights over its last steps.

    Args:
        parameters: of the model.
        decay: what is kept at each step; less in the first steps, whose weights are far from the later ones.
    """

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        self._parameters = tuple(parameters)
        self._decay = decay
        self.values = [parameter.detach().clone() for parameter in parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the weights after `step`, which counts from 0."""
        kept = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_mul_(self.values, kept)
        torch._foreach_add_(self.values, [parameter.detach() for parameter in self._parameters], alpha=1.0 - kept)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Lets the model have the average for a while."""
        before = [parameter.detach().clone() for parameter in self._parameters]
        copy_weights(self._parameters, self.values)
        try:
            yield
        finally:
            copy_weights(self._parameters, before)


@torch.no_grad()
def copy_weights(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Sets parameters to values."""
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)
