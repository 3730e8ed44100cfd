"""The GPU's kernels for splines give the same results and gradients as PyTorch's operations.

The kernels' own sources run on the CPU (`tests.unit.kernels.gpu.emulated`), called as on a GPU.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from driftwatch.flows import spline
from driftwatch.flows.spline import TAIL_BOUND, parameter_count
from driftwatch.kernels import chosen
from driftwatch.kernels.chosen import with_kernels, with_spline_kernels
from driftwatch.kernels.gpu import splines
from driftwatch.kernels.gpu.compiled import HOPPER, binary_of
from tests.shaken_flows import shaken, vector_flow
from tests.unit.kernels.gpu.emulated import emulated

BINS = 8


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splines, "kernel_for", emulated)


def drawn(shape: tuple[int, ...], bins: int) -> tuple[Tensor, Tensor]:
    """Values, of which the first ones are at and beyond the bounds, and parameters."""
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    extremes = torch.tensor([-TAIL_BOUND, TAIL_BOUND, 1e30, 0.0], dtype=torch.float64)[: x.numel()]
    x.view(-1)[: len(extremes)] = extremes
    return x, torch.randn((*shape, parameter_count(bins)), generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("bins", [1, 2, BINS, splines.MOST_BINS])
@pytest.mark.parametrize("shape", [(1,), (5, 7), (2, 64), (300,)])
def test_values_slopes_and_gradients_are_those_of_the_operations(shape: tuple[int, ...], bins: int) -> None:
    given = drawn(shape, bins)
    found = []
    for function, kind in (
        (spline.rational_quadratic_spline, torch.float64),
        (splines.rational_quadratic_spline, torch.float32),
    ):
        x, parameters = (each.to(kind, copy=True).requires_grad_() for each in given)
        mapped, log_slopes = function(x, parameters)
        (mapped.tanh().sum() + (0.3 * log_slopes.square() + log_slopes).sum()).backward()
        assert x.grad is not None
        assert parameters.grad is not None
        found.append((mapped.detach(), log_slopes.detach(), x.grad, parameters.grad))
    for expected, kernels in zip(*found, strict=True):
        torch.testing.assert_close(kernels.double(), expected, rtol=2e-4, atol=2e-4)


def test_splines_of_other_types_and_inverses_are_left_to_the_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    x, parameters = drawn((5, 7), BINS)
    expected = spline.rational_quadratic_spline(x, parameters)
    assert all(map(torch.equal, splines.rational_quadratic_spline(x, parameters), expected))
    single = parameters.float()
    mapped, _ = splines.rational_quadratic_spline(x.float(), single)
    back, _ = splines.rational_quadratic_spline(mapped, single, inverse=True)
    torch.testing.assert_close(back, x.float(), rtol=1e-3, atol=1e-3)
    monkeypatch.setattr(splines, "kernel_for", lambda *_, **__: None)  # as on a GPU that cannot run them
    without = splines.rational_quadratic_spline(x.float(), single)
    assert all(map(torch.equal, without, spline.rational_quadratic_spline(x.float(), single)))


@pytest.mark.parametrize("use", [with_kernels, with_spline_kernels])
def test_vector_flows_get_them_on_a_gpu(use: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "lanes_of", lambda _: 0)
    monkeypatch.setattr(chosen, "compiles_for", lambda _: True)
    flow, x = vector_flow(5), torch.randn(70, 5, generator=torch.Generator().manual_seed(0))
    before = flow.log_prob(x)
    after = use(flow).log_prob(x)  # type: ignore[operator]
    assert all(layer.spline is splines.rational_quadratic_spline for layer in flow.layers)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
    images = shaken(1, 16, 16)
    assert with_spline_kernels(images) is images


@pytest.mark.parametrize("architecture", ["sm_80", HOPPER])
@pytest.mark.parametrize("name", ["spline", "spline_gradients"])
def test_they_compile(name: str, architecture: str) -> None:
    shared = splines.BYTES * splines.THREADS * parameter_count(BINS)
    constants = (("BINS", BINS), ("THREADS", splines.THREADS), ("SHARED", shared))
    assert binary_of(architecture, name, constants, ("bin.cu",))
