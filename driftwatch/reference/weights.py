"""All that training changes: weights, their average, the best average so far, and the optimiser's moments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from driftwatch.flows.base import Flow
from driftwatch.reference.adam import Adam
from driftwatch.reference.ema import MovingAverage, copy_weights


class Weights:
    """The weights of a flow in training.

    Args:
        flow: whose weights they are.
        decay: of the moving average.
    """

    def __init__(self, flow: Flow, decay: float) -> None:
        named = {name: parameter for name, parameter in flow.named_parameters() if parameter.requires_grad}
        self._flow = flow
        self._names = tuple(named)
        self.parameters = tuple(named.values())
        self._optimiser = Adam(self.parameters)
        self.average = MovingAverage(self.parameters, decay)
        self._best = [value.clone() for value in self.average.values]

    def start_average(self) -> None:
        """Begins the average with the weights as they are."""
        copy_weights(self.average.values, self.parameters)
        self.keep_best()

    def keep_best(self) -> None:
        """Notes the average as the best so far."""
        copy_weights(self._best, self.average.values)

    def use_best(self) -> None:
        """Gives the flow the best average."""
        copy_weights(self.parameters, self._best)

    def gradients(self) -> list[Tensor]:
        """Those there are."""
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]

    def step(self, rate: float, number: int) -> None:
        """Takes one step along the gradients.

        Args:
            rate: learning rate.
            number: of the step, from 0.
        """
        self._optimiser.step(rate)
        self.average.update(number)

    def tensors(self) -> dict[str, Tensor]:
        """A copy of everything, by name."""
        tensors = {f"buffer/{name}": buffer.clone() for name, buffer in self._flow.named_buffers()}
        for kind, values in self._kinds():
            for name, value in zip(self._names, values, strict=True):
                tensors[f"{kind}/{name}"] = value.detach().clone()
        tensors["steps"] = torch.tensor(self._optimiser.steps)
        return tensors

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Sets everything to a copy of what `tensors` gave.

        Raises:
            KeyError: there is no such tensor.
            RuntimeError: one has another shape.
        """
        for name, buffer in self._flow.named_buffers():
            buffer.copy_(tensors[f"buffer/{name}"])
        for kind, values in self._kinds():
            copy_weights(values, [tensors[f"{kind}/{name}"] for name in self._names])
        self._optimiser.steps = int(tensors["steps"])

    def _kinds(self) -> Iterator[tuple[str, Sequence[Tensor]]]:
        yield "parameter", self.parameters
        yield "average", self.average.values
        yield "best", self._best
        yield "mean", self._optimiser.means
        yield "square", self._optimiser.squares
