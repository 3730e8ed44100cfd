"""Everything that training changes: weights, their average, the best average so far, and the optimiser's moments."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim.adam import adam

from driftwatch.flows.base import Flow
from driftwatch.reference.ema import MovingAverage, copy_weights

BETAS = (0.9, 0.99)
EPSILON = 1e-8


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
        held = [i for i, parameter in enumerate(self.parameters) if parameter.grad is not None]
        means, squares, steps = ([values[i] for i in held] for values in self._moments.values())
        # All weights at once, as on a GPU: one by one, Python took longer than the arithmetic, which is the same.
        adam(
            [self.parameters[i] for i in held],
            self.gradients(),
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
        self.average.update(number)

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
