"""The kernel of a scale computes the same function as its layers, on any CPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from driftwatch.flows.image import ImageFlow
from driftwatch.kernels.cpu.scale import kernels_of, shape_of
from tests.shaken_flows import shaken

Latents = tuple[tuple[Tensor, ...], Tensor]


def images(flow: ImageFlow, samples: int) -> Tensor:
    """Prepared images."""
    generator = torch.Generator().manual_seed(1)
    raw = torch.randint(0, 256, (samples, *flow.image_shape), generator=generator)
    return flow.prepare(raw.float(), noise="content")


@torch.no_grad()
def through(flow: ImageFlow, x: Tensor, lanes: int | None = None) -> Latents:
    """Latents and log-determinants, by kernels of a number of lanes, or by layers."""
    flow.kernels = kernels_of(flow, lanes) if lanes else {}
    found: Latents = flow(x)
    return found


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize(
    ("channels", "height", "width", "hidden", "samples"),
    [(1, 28, 28, 64, 19), (3, 16, 24, 64, 16), (1, 8, 12, 16, 3), (2, 6, 5, 8, 1)],
    ids=["grey", "colour, columns that make no pairs", "fewer hidden channels", "rows and columns of one pixel"],
)
def test_kernels_are_as_exact_as_the_layers(
    lanes: int, channels: int, height: int, width: int, hidden: int, samples: int
) -> None:
    flow = shaken(channels, height, width, hidden=hidden)
    x = images(flow, samples)
    layers, kernels = through(flow, x), through(flow, x, lanes)
    exact = through(flow.double(), x.double())
    for found, by_layers, expected in zip(
        (*kernels[0], kernels[1]), (*layers[0], layers[1]), (*exact[0], exact[1]), strict=True
    ):
        assert found.shape == expected.shape
        rounding = (by_layers - expected).abs().max()
        assert (found - expected).abs().max() <= 3 * rounding


@pytest.mark.parametrize("lanes", [4, 16])
def test_a_sample_has_the_same_bits_at_every_place_and_in_every_batch(lanes: int) -> None:
    flow = shaken(1, 12, 12)
    x = images(flow, 37)
    z, log_det = through(flow, x, lanes)
    for start, end in ((0, 1), (5, 6), (3, 20), (20, 37)):
        part, part_log_det = through(flow, x[start:end], lanes)
        assert torch.equal(part_log_det, log_det[start:end])
        assert all(torch.equal(one, other[start:end]) for one, other in zip(part, z, strict=True))


def test_an_empty_batch_has_empty_latents() -> None:
    flow = shaken(1, 8, 8)
    z, log_det = through(flow, images(flow, 0), 4)
    assert [len(each) for each in (*z, log_det)] == [0, 0, 0, 0]


def test_vectors_of_any_width_give_the_same_bits() -> None:
    flow = shaken(1, 12, 12)
    x = images(flow, 5)
    found = [through(flow, x, lanes) for lanes in (4, 8, 16)]
    for z, log_det in found[1:]:
        assert torch.equal(log_det, found[0][1])
        assert all(torch.equal(one, other) for one, other in zip(z, found[0][0], strict=True))


def test_an_extreme_sample_changes_no_other() -> None:
    flow = shaken(1, 12, 12)
    x = images(flow, 4)
    z, log_det = through(flow, x, 4)
    x[1], x[2] = torch.nan, 1e30
    changed, changed_log_det = through(flow, x, 4)
    for k in (0, 3):
        assert torch.equal(changed_log_det[k], log_det[k])
        assert all(torch.equal(one[k], other[k]) for one, other in zip(changed, z, strict=True))


def test_hidden_layers_that_do_not_fill_the_lanes_have_no_kernels() -> None:
    assert not kernels_of(shaken(1, 8, 8, hidden=12), 16)


def test_the_shapes_of_the_scales() -> None:
    flow = ImageFlow(3, 30, 28)
    found = [shape_of(flow, scale, 16) for scale in range(3)]
    assert [(each.height, each.width, each.channels) for each in found] == [(16, 16, 12), (8, 8, 24), (4, 4, 48)]
