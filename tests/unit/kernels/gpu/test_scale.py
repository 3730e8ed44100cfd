"""A scale's kernel is the same function as its layers.

There is no GPU where these tests run. The kernel's own source runs on the CPU instead, thread by thread (`lanes.h`);
what a GPU makes of it is checked by ``python -m benchmarks.scoring``.
"""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest
import torch
from torch import Tensor

from driftwatch.flows.image import ImageFlow
from driftwatch.kernels.gpu import scale as scale_module
from driftwatch.kernels.gpu.compiled import compiles_for
from driftwatch.kernels.gpu.scale import ScaleShape, binary_of, shape_of, step_weights
from driftwatch.kernels.steps import constant_log_det
from tests.shaken_flows import shaken

HERE = Path(__file__).parent
SOURCE = Path(scale_module.__file__).parent
H100 = (232_448, 233_472)
"""Bytes that a block, and all blocks of a multiprocessor, may share."""

SMALL = 101_376
"""Bytes that a block may share on a consumer's GPU."""


def shapes(flow: ImageFlow, memory: int = H100[0]) -> list[ScaleShape]:
    found = [shape_of(flow, scale, memory) for scale in range(flow.scales)]
    return [each for each in found if each is not None]


def on_cpu(shape: ScaleShape, folder: Path, x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the kernel makes of images."""
    library = folder / f"{shape.height}-{shape.width}-{shape.channels}.so"
    defined = [f"-D{name}={value}" for name, value in shape.constants(H100[1]).items()]
    flags = ["-std=c++17", "-O1", "-w", "-fno-strict-aliasing", "-shared", "-fPIC", f"-I{HERE}", f"-I{SOURCE}"]
    subprocess.run(
        ["g++", *flags, *defined, str(HERE / "scale_on_cpu.cpp"), "-o", str(library)], check=True, timeout=120
    )
    grid = (len(x), shape.height, shape.width)
    leaving = torch.full((*grid, shape.half if shape.split else shape.channels), torch.nan)
    staying = torch.full((*grid, shape.half if shape.split else 0), torch.nan)
    log_det = torch.zeros(len(x))
    tensors = (x.contiguous(), weights, leaving, staying, log_det)
    ctypes.CDLL(str(library)).run(*(ctypes.c_void_p(each.data_ptr()) for each in tensors), len(x))
    return leaving, staying, log_det


@pytest.mark.parametrize(
    ("channels", "height", "width", "samples"),
    [(1, 28, 28, 3), (1, 16, 12, 9), (3, 16, 16, 5)],
    ids=["grey", "a block of samples that does not fill it", "colour"],
)
@torch.no_grad()
def test_it_is_the_same_function_as_the_layers(
    channels: int, height: int, width: int, samples: int, tmp_path: Path
) -> None:
    flow = shaken(channels, height, width)
    raw = torch.randint(0, 256, (samples, channels, height, width), generator=torch.Generator().manual_seed(1))
    h = (flow.prepare(raw.float(), noise="content") / 256 - 0.5).permute(0, 2, 3, 1)
    for scale, shape in enumerate(shapes(flow)):
        weights, constant = step_weights(flow, scale, shape), constant_log_det(flow, scale)
        expected = flow.by_layers(scale, h, torch.zeros(samples))
        found = on_cpu(shape, tmp_path, h, weights)
        for one, other in zip(found[:2], expected[:2], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=4e-3)  # float16 holds three digits
        torch.testing.assert_close(found[2] + constant, expected[2], rtol=2e-3, atol=0.1)
        h = expected[1]


@torch.no_grad()
def test_a_sample_is_the_same_in_every_place_to_the_bit(tmp_path: Path) -> None:
    flow = shaken(1, 16, 16)
    h = torch.randn(9, 16, 16, 1, generator=torch.Generator().manual_seed(1))
    shape = shapes(flow)[0]
    weights = step_weights(flow, 0, shape)
    first, moved = (on_cpu(shape, tmp_path, each, weights) for each in (h, h[2:]))
    for one, other in zip(first, moved, strict=True):
        assert torch.equal(one[2:], other)


@torch.no_grad()
def test_what_float16_cannot_hold_stays_a_number(tmp_path: Path) -> None:
    flow = shaken(1, 16, 16)
    h = torch.full((1, 16, 16, 1), 1e8)
    shape = shapes(flow)[0]
    weights = step_weights(flow, 0, shape)
    assert all(bool(each.isfinite().all()) for each in on_cpu(shape, tmp_path, h, weights))


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32)])
def test_it_compiles(architecture: str, channels: int, side: int) -> None:
    for shape in shapes(shaken(channels, side, side)):
        assert binary_of(architecture, tuple(shape.constants(H100[1]).items()))


def test_which_scales_have_a_kernel() -> None:
    assert len(shapes(shaken(1, 28, 28))) == 3
    large = ImageFlow(1, 64, 64)
    assert [shape_of(large, scale, H100[0]) is not None for scale in range(3)] == [False, True, True]
    assert not shapes(ImageFlow(1, 28, 28, hidden=32))


def test_a_block_holds_fewer_pixels_where_it_may_share_less() -> None:
    flow = ImageFlow(1, 28, 28)
    assert [each.rows for each in shapes(flow)] == [256, 256, 256]
    assert [each.rows for each in shapes(flow, SMALL)] == [256, 128, 128]


def test_there_are_none_for_a_cpu() -> None:
    assert not compiles_for(torch.device("cpu"))
