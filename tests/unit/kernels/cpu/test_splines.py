"""The kernel of a vector flow computes the same function as its layers, on any CPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from driftwatch.flows.vector import VectorFlow
from driftwatch.kernels.cpu.vector_flow import kernel_of
from tests.shaken_flows import vector_flow


def features(flow: VectorFlow, samples: int) -> Tensor:
    """Features, some of them beyond the splines' tails."""
    return 2.5 * torch.randn(samples, flow.dim, generator=torch.Generator().manual_seed(1))


def through(flow: VectorFlow, x: Tensor, lanes: int) -> tuple[Tensor, Tensor]:
    kernel = kernel_of(flow, lanes)
    assert kernel is not None
    return kernel(x)


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize(
    ("dim", "hidden", "bins", "layers", "samples"),
    [(12, 64, 8, 3, 70), (7, 30, 5, 2, 33), (2, 4, 2, 1, 1), (40, 64, 8, 2, 9)],
    ids=["a table", "sizes that fill nothing", "the least", "more dimensions"],
)
@torch.no_grad()
def test_kernels_are_as_exact_as_the_layers(
    lanes: int, dim: int, hidden: int, bins: int, layers: int, samples: int
) -> None:
    flow = vector_flow(dim, hidden=hidden, bins=bins, layers=layers)
    x = features(flow, samples)
    found, layered = through(flow, x, lanes), flow.by_layers(x)
    exact = flow.double().by_layers(x.double())
    for one, by_layers, expected in zip(found, layered, exact, strict=True):
        assert one.shape == expected.shape
        rounding = (by_layers - expected).abs().max()
        assert (one - expected).abs().max() <= 4 * rounding + 1e-6


@torch.no_grad()
def test_the_log_determinant_is_that_of_the_jacobian() -> None:
    flow = vector_flow(5)
    x = features(flow, 6)
    _, log_det = through(flow, x, 4)
    plain = flow.double()
    for row, found in zip(x.double(), log_det, strict=True):
        jacobian = torch.func.jacrev(lambda each: plain.by_layers(each[None])[0][0])(row)
        assert float(torch.linalg.slogdet(jacobian).logabsdet) == pytest.approx(float(found), abs=1e-4)


@torch.no_grad()
def test_a_sample_has_the_same_bits_at_every_place_in_every_batch_and_width() -> None:
    flow = vector_flow(7)
    x = features(flow, 75)
    z, log_det = through(flow, x, 16)
    for lanes in (4, 8, 16):
        for start, end in ((0, 1), (3, 20), (40, 75)):
            part, part_log_det = through(flow, x[start:end], lanes)
            assert torch.equal(part, z[start:end])
            assert torch.equal(part_log_det, log_det[start:end])


@torch.no_grad()
def test_an_extreme_sample_changes_no_other() -> None:
    flow = vector_flow(7)
    x = features(flow, 4)
    z, log_det = through(flow, x, 4)
    x[1], x[2] = torch.nan, 1e30
    changed, changed_log_det = through(flow, x, 4)
    for k in (0, 3):
        assert torch.equal(changed[k], z[k])
        assert torch.equal(changed_log_det[k], log_det[k])


@torch.no_grad()
def test_an_empty_batch_has_empty_latents() -> None:
    assert [each.shape for each in through(vector_flow(7), torch.zeros(0, 7), 4)] == [(0, 7), (0,)]


@torch.no_grad()
def test_other_types_than_float32_are_refused() -> None:
    with pytest.raises(TypeError, match="float64"):
        through(vector_flow(7), torch.zeros(2, 7, dtype=torch.float64), 4)


def test_a_single_dimension_has_no_kernel() -> None:
    assert kernel_of(vector_flow(1), 4) is None
