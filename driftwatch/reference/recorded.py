"""Work on a GPU recorded as a CUDA graph: hundreds of small kernels then cost one launch, and not one each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

WARM_UP = 3
"""Runs before recording, in which libraries choose their algorithms and take their memory."""


class Recorded:
    """A function of one tensor of a fixed shape on a GPU.

    Args:
        function: that waits for nothing and moves nothing between host and device.
        example: of what it takes.
    """

    def __init__(self, function: Callable[[Tensor], tuple[Tensor, ...]], example: Tensor) -> None:
        self._input = example.clone()
        self._graph = torch.cuda.CUDAGraph()
        self._outputs = _record(self._graph, lambda: function(self._input), example.device)

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Nothing is waited for if `x` is on the GPU, or in pinned memory of the host."""
        self._input.copy_(x, non_blocking=True)
        self._graph.replay()
        return tuple(output.clone() for output in self._outputs)


class RecordedGradients:
    """A loss on batches of a fixed shape on a GPU, with its gradients.

    Args:
        loss: of a batch, a scalar; a function of it and of `parameters`.
        parameters: whose gradients are set at each call; they may change in place in between.
        example: of a batch.
    """

    def __init__(self, loss: Callable[[Tensor], Tensor], parameters: Sequence[Tensor], example: Tensor) -> None:
        self._input = example.clone()
        self._graph = torch.cuda.CUDAGraph()

        def descend() -> Tensor:
            for parameter in parameters:
                parameter.grad = None  # so that the recorded run writes gradients, and does not add to them
            found = loss(self._input)
            found.backward()  # type: ignore[no-untyped-call]
            return found.detach()

        self._output = _record(self._graph, descend, example.device)

    def __call__(self, x: Tensor) -> Tensor:
        """The loss; the parameters' gradients are as after ``backward``."""
        self._input.copy_(x)
        self._graph.replay()
        return self._output.clone()


def _record(graph: torch.cuda.CUDAGraph, work: Callable[[], T], device: torch.device) -> T:
    aside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream(device).wait_stream(aside)
    # Other threads may use the GPU meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        return work()
