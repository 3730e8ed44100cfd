"""A scale's kernel is the same function as its layers.

There is no GPU where these tests run. The kernel's own source runs on the CPU instead, thread by thread (`lanes.h`);
what a GPU makes of it is checked by ``python -m benchmarks.scoring``.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from driftwatch.flows.image import ImageFlow
from driftwatch.kernels.gpu.compiled import HOPPER, compiles_for
from driftwatch.kernels.gpu.scale import ScaleShape, binary_of, shape_of, step_weights
from driftwatch.kernels.steps import constant_log_det
from tests.shaken_flows import shaken
from tests.unit.kernels.gpu.emulated import at, emulated

H100 = (232_448, 233_472)
"""Bytes that a block, and all blocks of a multiprocessor, may share."""

SMALL = 101_376
"""Bytes that a block may share on a consumer's GPU."""

ways = pytest.mark.parametrize("by_groups", [False, True], ids=["warps", "groups"])
"""Of older GPUs and of Hopper."""


def shapes(flow: ImageFlow, memory: int = H100[0], *, by_groups: bool = False) -> list[ScaleShape]:
    found = [shape_of(flow, scale, memory, by_groups=by_groups) for scale in range(flow.scales)]
    return [each for each in found if each is not None]


def on_cpu(shape: ScaleShape, folder: Path, x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the kernel makes of images."""
    way = {"BY_GROUPS": 1} if shape.by_groups else {}
    library = emulated("scale_on_cpu.cpp", folder, shape.threads, {**shape.constants(H100[1]), **way})
    grid = (len(x), shape.height, shape.width)
    leaving = torch.full((*grid, shape.left), torch.nan)
    staying = torch.full((*grid, shape.channels - shape.left), torch.nan)
    log_det = torch.zeros(len(x))
    given = x.contiguous()
    library.run(*map(at, (given, weights, leaving, staying, log_det)), len(x))
    sub_vectors = (len(x), shape.pixels // shape.patch**2, shape.left * shape.patch**2)
    return leaving.view(sub_vectors), staying, log_det


@pytest.mark.parametrize(
    ("channels", "height", "width", "samples", "by_groups"),
    [
        pytest.param(1, 28, 28, 3, False, id="grey, by warps"),
        pytest.param(1, 28, 28, 3, True, id="grey, by groups"),
        pytest.param(1, 16, 12, 9, False, id="a block of samples that does not fill it, by warps"),
        pytest.param(1, 16, 12, 9, True, id="a block of samples that does not fill it, by groups"),
        pytest.param(3, 16, 16, 5, False, id="colour, by warps"),
        pytest.param(3, 16, 16, 5, True, id="colour, by groups"),
        pytest.param(1, 64, 48, 1, True, id="more pixels than a group multiplies, by groups"),
        pytest.param(3, 40, 8, 2, False, id="narrow, by warps"),
    ],
)
@torch.no_grad()
def test_it_is_the_same_function_as_the_layers(
    channels: int, height: int, width: int, samples: int, by_groups: bool, tmp_path: Path
) -> None:
    flow = shaken(channels, height, width)
    raw = torch.randint(0, 256, (samples, channels, height, width), generator=torch.Generator().manual_seed(1))
    x = flow.prepare(raw.float(), noise="content")
    expected, expected_log_det = flow(x)
    h, log_det = x.permute(0, 2, 3, 1), -flow.dim * math.log(256)
    for scale, shape in enumerate(shapes(flow, by_groups=by_groups)):
        leaving, h, more = on_cpu(shape, tmp_path, h, step_weights(flow, scale, shape))
        torch.testing.assert_close(leaving, expected[scale], rtol=0, atol=1e-2)  # float16 holds three digits
        log_det = log_det + more + constant_log_det(flow, scale)
    torch.testing.assert_close(log_det, expected_log_det, rtol=2e-3, atol=0.1)


@ways
@torch.no_grad()
def test_a_sample_is_the_same_in_every_place_to_the_bit(by_groups: bool, tmp_path: Path) -> None:
    flow = shaken(1, 16, 16)
    h = torch.randn(9, 16, 16, 1, generator=torch.Generator().manual_seed(1))
    shape = shapes(flow, by_groups=by_groups)[0]
    weights = step_weights(flow, 0, shape)
    first, moved = (on_cpu(shape, tmp_path, each, weights) for each in (h, h[2:]))
    for one, other in zip(first, moved, strict=True):
        assert torch.equal(one[2:], other)


@ways
@torch.no_grad()
def test_what_float16_cannot_hold_stays_a_number(by_groups: bool, tmp_path: Path) -> None:
    flow = shaken(1, 16, 16)
    h = torch.full((1, 16, 16, 1), 1e8)
    shape = shapes(flow, by_groups=by_groups)[0]
    weights = step_weights(flow, 0, shape)
    assert all(bool(each.isfinite().all()) for each in on_cpu(shape, tmp_path, h, weights))


@pytest.mark.parametrize(
    ("architecture", "channels", "side"),
    [
        ("sm_80", 1, 28),
        ("sm_80", 3, 32),
        ("sm_89", 1, 28),
        (HOPPER, 1, 28),
        (HOPPER, 3, 32),
        (HOPPER, 1, 64),
        ("sm_120", 1, 28),
    ],
)
def test_it_compiles(architecture: str, channels: int, side: int) -> None:
    for shape in shapes(shaken(channels, side, side), by_groups=architecture == HOPPER):
        assert binary_of(architecture, tuple(shape.constants(H100[1]).items()))


def test_which_scales_have_a_kernel() -> None:
    assert len(shapes(shaken(1, 28, 28))) == 3
    assert len(shapes(ImageFlow(1, 64, 64))) == 3
    larger = ImageFlow(1, 128, 128)
    assert [shape_of(larger, scale, H100[0]) is not None for scale in range(3)] == [False, True, True]
    assert not shapes(ImageFlow(1, 28, 28, hidden=32))


def test_a_block_holds_fewer_pixels_where_it_may_share_less() -> None:
    flow = ImageFlow(3, 32, 32)
    assert [each.rows for each in shapes(flow)] == [256, 256, 256]
    assert [each.rows for each in shapes(flow, SMALL)] == [256, 128]


def test_there_are_none_for_a_cpu() -> None:
    assert not compiles_for(torch.device("cpu"))
