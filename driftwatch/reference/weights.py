"""Everything that training changes: weights, their average, the best average so far, and the optimiser's moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam

from driftwatch.flows.base import Flow
from driftwatch.reference.ema import MovingAverage, copy_weights

BETAS = (0.9, 0.99)
EPSILON = 1e-8
WIDEST = 64
"""Columns of a matrix up to which it takes whole steps. What wider ones map to would move the further the more columns
they have, as Adam moves all numbers equally far: the mixing of an embedding's dimensions would diverge."""


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
        # For PyTorch's Adam as a function: its class imports PyTorch's compiler, which is unused and takes 1.5 seconds.
        self._moments = {
            "exp_avg": [torch.zeros_like(parameter) for parameter in self.parameters],
            "exp_avg_sq": [torch.zeros_like(parameter) for parameter in self.parameters],
            "step": [torch.zeros(()) for _ in self.parameters],  # on the CPU, wherever the weights are
        }
        self._rates = [_relative_rate(parameter) for parameter in self.parameters]
        self.average = MovingAverage(self.parameters, decay)
        self._best = [value.clone() for value in self.average.values]

    def start_average(self) -> None:
        """Start the average from the current weights."""
        copy_weights(self.average.values, self.parameters)
        self.keep_best()

    def keep_best(self) -> None:
        """Remember the average as the best so far."""
        copy_weights(self._best, self.average.values)

    def use_best(self) -> None:
        """Set the flow's weights to the best average."""
        copy_weights(self.parameters, self._best)

    def gradients(self) -> list[Tensor]:
        """The gradients of the parameters that have one."""
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]

    @torch.no_grad()
    def step(self, rate: float, number: int) -> None:
        """Take one step along the gradients.

        Args:
            rate: learning rate.
            number: of the step, from 0.
        """
        for relative in dict.fromkeys(self._rates):
            self._step([i for i, each in enumerate(self._rates) if each == relative], relative * rate)
        self.average.update(number)

    def _step(self, which: Sequence[int], rate: float) -> None:
        held = [i for i in which if self.parameters[i].grad is not None]
        means, squares, steps = ([values[i] for i in held] for values in self._moments.values())
        # All at once, as on a GPU: one by one, Python took longer than the arithmetic, which is the same.
        adam(
            [self.parameters[i] for i in held],
            [gradient for i in held if (gradient := self.parameters[i].grad) is not None],
            means,
            squares,
            [],
            steps,
            foreach=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=rate,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )

    def tensors(self) -> dict[str, Tensor]:
        """A copy of everything, by name."""
        tensors = {f"buffer/{name}": buffer.clone() for name, buffer in self._flow.named_buffers()}
        for i, (name, parameter) in enumerate(zip(self._names, self.parameters, strict=True)):
            tensors[f"parameter/{name}"] = parameter.detach().clone()
            tensors[f"average/{name}"] = self.average.values[i].clone()
            tensors[f"best/{name}"] = self._best[i].clone()
            for moment, values in self._moments.items():
                tensors[f"{moment}/{name}"] = values[i].clone()
        return tensors

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore everything from the tensors of `tensors`.

        Raises:
            KeyError: there is no such tensor.
            RuntimeError: one has another shape.
        """
        for name, buffer in self._flow.named_buffers():
            buffer.copy_(tensors[f"buffer/{name}"])
        for values, kind in ((self.parameters, "parameter"), (self.average.values, "average"), (self._best, "best")):
            copy_weights(values, [tensors[f"{kind}/{name}"] for name in self._names])
        for moment, values in self._moments.items():
            copy_weights(values, [tensors[f"{moment}/{name}"] for name in self._names])


def _relative_rate(parameter: Tensor) -> float:
    """The share of the learning rate that a parameter takes."""
    return min(1.0, WIDEST / parameter.shape[1]) if parameter.ndim == 2 else 1.0
