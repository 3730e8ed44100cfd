"""GPU work recorded as CUDA graphs: hundreds of small kernels then cost a single launch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor

T = TypeVar("T")

WARM_UP = 3
"""Runs before recording, in which libraries choose algorithms and allocate memory."""


class Recorded:
    """A recorded function of one tensor of a fixed shape on a GPU.

    Args:
        function: must not synchronize, nor copy between host and device.
        example: of its input.
    """

    def __init__(self, function: Callable[[Tensor], tuple[Tensor, ...]], example: Tensor) -> None:
        self._input = example.clone()
        self._graph = torch.cuda.CUDAGraph()
        self._outputs = _record(self._graph, lambda: function(self._input), example.device)

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Replay; asynchronous if `x` is on the GPU, or in pinned memory of the host."""
        self._input.copy_(x, non_blocking=True)
        self._graph.replay()
        return tuple(output.clone() for output in self._outputs)


class RecordedGradients:
    """A recorded loss on batches of a fixed shape on a GPU, with its gradients.

    Args:
        loss: a scalar function of a batch and of `parameters`.
        parameters: whose gradients each call sets; they may be updated in place between calls.
        example: of a batch.
    """

    def __init__(self, loss: Callable[[Tensor], Tensor], parameters: Sequence[Tensor], example: Tensor) -> None:
        self._input = example.clone()
        self._graph = torch.cuda.CUDAGraph()

        def descend() -> Tensor:
            for parameter in parameters:
                parameter.grad = None  # so that the recorded run overwrites gradients instead of adding to them
            found = loss(self._input)
            found.backward()
            return found.detach()

        self._output = _record(self._graph, descend, example.device)

    def __call__(self, x: Tensor) -> Tensor:
        """Replay; returns the loss and sets the parameters' gradients like ``backward``."""
        self._input.copy_(x)
        self._graph.replay()
        return self._output.clone()


def pinned(shape: Sequence[int], kind: DTypeLike) -> Tensor:
    """Uninitialized host memory that a GPU can copy from asynchronously.

    Fill it through ``.numpy()``, which uses one thread. The threads of `Tensor.pin_memory` spin for milliseconds after
    copying a single batch, all cores of the machine at once.
    """
    return torch.empty(tuple(shape), dtype=torch.from_numpy(np.empty(0, kind)).dtype, pin_memory=True)


def _record(graph: torch.cuda.CUDAGraph, work: Callable[[], T], device: torch.device) -> T:
    aside = torch.cuda.Stream(device)
    aside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream(device).wait_stream(aside)
    # "thread_local", because other threads may use the GPU meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        return work()
