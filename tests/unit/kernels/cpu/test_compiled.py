"""Compiled functions can be copied, and sent to other processes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch

from driftwatch.kernels.cpu.compiled import Function
from driftwatch.kernels.cpu.vectors import Code


def doubling() -> Function:
    code = Code(4)
    with code.function("double", pointers=1, counts=0) as ((place,), _):
        place.store(place.load() * 2.0)
    return Function("double", str(code), pointers=1, counts=0)


@pytest.mark.parametrize(
    "transfer", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))], ids=["copied", "sent"]
)
def test_a_copy_does_the_same(transfer: Callable[[Function], Function]) -> None:
    numbers = torch.arange(4.0)
    transfer(doubling())(numbers)
    assert numbers.tolist() == [0.0, 2.0, 4.0, 6.0]


@pytest.mark.parametrize("numbers", [torch.arange(4), torch.arange(8.0)[::2]], ids=["of another type", "with gaps"])
def test_unreadable_tensors_are_refused(numbers: torch.Tensor) -> None:
    with pytest.raises(TypeError, match="float32"):
        doubling()(numbers)
