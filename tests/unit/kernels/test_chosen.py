"""Which kernels a flow gets."""

from __future__ import annotations

import pytest
import torch

from driftwatch.kernels.chosen import with_kernels
from driftwatch.kernels.cpu import compiled
from tests.image_flows import shaken


def test_an_image_flow_gets_those_of_its_cpu() -> None:
    if not compiled.lanes_of(torch.device("cpu")):
        pytest.skip("this CPU multiplies no vectors that they are written for")
    flow = with_kernels(shaken(1, 16, 16))
    assert list(flow.kernels) == [0, 1, 2]
    assert flow.batch_invariant


def test_it_goes_layer_by_layer_without_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "find_spec", lambda name: None)
    flow = with_kernels(shaken(1, 16, 16))
    assert not flow.kernels
    assert not flow.batch_invariant
