"""The GPU kernel of a scale computes the same function as its layers.

These tests need no GPU: the kernel's own source runs on the CPU, thread by thread (`lanes.h`).
``python -m benchmarks.scoring`` checks the results of a GPU.
"""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from driftwatch.flows.image import ImageFlow, steps_of_stage
from driftwatch.kernels import chosen
from driftwatch.kernels.chosen import with_kernels
from driftwatch.kernels.gpu.compiled import HOPPER, binary_of, compiles_for
from driftwatch.kernels.gpu.scale import ScaleKernel, ScaleShape, shape_of, step_weights
from driftwatch.kernels.steps import constant_log_det
from tests.shaken_flows import shaken
from tests.unit.kernels.gpu.emulated import CPU, emulated

H100 = (232_448, 233_472)
"""Shared memory that a block, and all blocks of a multiprocessor, may use, in bytes."""

SMALL = 101_376
"""Shared memory that a block may use on a consumer GPU, in bytes."""

ways = pytest.mark.parametrize("by_groups", [False, True], ids=["warps", "groups"])
"""How matrices are multiplied: by warps on older GPUs, by warp groups on Hopper."""


def shapes(flow: ImageFlow, memory: int = H100[0], *, by_groups: bool = False) -> list[ScaleShape]:
    found = [shape_of(flow, scale, memory, by_groups=by_groups) for scale in range(flow.scales)]
    return [each for each in found if each is not None]


def on_cpu(shape: ScaleShape, x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The results of the kernel for images."""
    kernel = emulated(CPU, "scale", threads=shape.threads, constants=shape.constants(H100[1]), parts=shape.parts)
    return ScaleKernel(shape, kernel, weights, 0.0)(x, torch.zeros(len(x)))


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
def test_the_kernel_is_the_same_function_as_the_layers(
    channels: int, height: int, width: int, samples: int, by_groups: bool
) -> None:
    flow = shaken(channels, height, width)
    raw = torch.randint(0, 256, (samples, channels, height, width), generator=torch.Generator().manual_seed(1))
    x = flow.prepare(raw.float(), noise="content")
    expected, expected_log_det = flow(x)
    h, log_det = x.permute(0, 2, 3, 1), -flow.dim * math.log(256)
    for scale, shape in enumerate(shapes(flow, by_groups=by_groups)):
        leaving, h, more = on_cpu(shape, h, step_weights(flow, scale, shape))
        torch.testing.assert_close(leaving, expected[scale], rtol=0, atol=1e-2)  # float16 holds three digits
        log_det = log_det + more + constant_log_det(flow, scale)
    torch.testing.assert_close(log_det, expected_log_det, rtol=2e-3, atol=0.1)


@ways
@torch.no_grad()
def test_a_sample_has_the_same_bits_at_every_place(by_groups: bool) -> None:
    flow = shaken(1, 16, 16)
    h = torch.randn(9, 16, 16, 1, generator=torch.Generator().manual_seed(1))
    shape = shapes(flow, by_groups=by_groups)[0]
    weights = step_weights(flow, 0, shape)
    first, moved = (on_cpu(shape, each, weights) for each in (h, h[2:]))
    for one, other in zip(first, moved, strict=True):
        assert torch.equal(one[2:], other)


@ways
@torch.no_grad()
def test_values_too_large_for_float16_stay_finite(by_groups: bool) -> None:
    flow = shaken(1, 16, 16)
    h = torch.full((1, 16, 16, 1), 1e8)
    shape = shapes(flow, by_groups=by_groups)[0]
    weights = step_weights(flow, 0, shape)
    assert all(bool(each.isfinite().all()) for each in on_cpu(shape, h, weights))


@ways
@torch.no_grad()
def test_a_nan_stays_in_its_sample(by_groups: bool) -> None:
    flow = shaken(1, 16, 16)
    h = torch.randn(3, 16, 16, 1, generator=torch.Generator().manual_seed(1))
    shape = shapes(flow, by_groups=by_groups)[0]
    weights = step_weights(flow, 0, shape)
    expected = on_cpu(shape, h, weights)
    h[1, 5, 6] = torch.nan
    found = on_cpu(shape, h, weights)
    assert found[2][1].isnan()
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one[::2], other[::2])


@ways
@torch.no_grad()
def test_offsets_in_a_large_batch_exceed_32_bits(by_groups: bool) -> None:
    flow = shaken(1, 16, 16)
    shape = shapes(flow, by_groups=by_groups)[0]
    weights, h = step_weights(flow, 0, shape), torch.randn(shape.samples, 16, 16, 1)
    leaving, staying, log_det = on_cpu(shape, h, weights)
    first = 2**31 // h.numel() + 1
    count = (first + 1) * shape.samples
    # Tensors whose address is shifted back, so that only the part of a far block exists.
    far = [_FarBlock(each, first) for each in (h, torch.empty_like(leaving), torch.empty_like(staying), log_det * 0)]
    kernel = emulated(CPU, "scale", threads=shape.threads, constants=shape.constants(H100[1]), parts=shape.parts)
    kernel(1, far[0], weights, far[1], far[2], far[3], count, first=first)
    for one, other in zip(far[1:], (leaving, staying, log_det), strict=True):
        assert torch.equal(one.as_subclass(Tensor), other)


class _FarBlock(Tensor):
    """The part of a large batch that belongs to one block, addressed as if the rest existed."""

    blocks: int

    @staticmethod
    def __new__(cls, part: Tensor, blocks: int) -> _FarBlock:
        far_block = part.as_subclass(cls)
        far_block.blocks = blocks
        return far_block

    def data_ptr(self) -> int:
        return super().data_ptr() - self.blocks * self.numel() * self.element_size()


@pytest.fixture(params=["warps", "groups"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """An H100, or an older GPU with as much shared memory, whose kernels run on the CPU."""
    properties = SimpleNamespace(shared_memory_per_block_optin=H100[0], shared_memory_per_multiprocessor=H100[1])
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    architecture = HOPPER if request.param == "groups" else "sm_80"
    monkeypatch.setattr("driftwatch.kernels.gpu.scale.architecture_of", lambda device: architecture)
    monkeypatch.setattr("driftwatch.kernels.gpu.scale.binary_of", lambda *_: b"")
    monkeypatch.setattr("driftwatch.kernels.gpu.scale.kernel_for", emulated)
    monkeypatch.setattr("driftwatch.kernels.gpu.noise.kernel_for", emulated)
    monkeypatch.setattr(chosen, "lanes_of", lambda device: None)
    monkeypatch.setattr(chosen, "compiles_for", lambda device: True)


def assert_same(found: ImageFlow, flow: ImageFlow, raw: Tensor) -> None:
    """Assert that two flows are the same function, apart from float16's rounding."""
    x, expected_x = (each.prepare(raw, noise="content") for each in (found, flow))
    assert torch.equal(x, expected_x)
    (blocks, log_det), (expected, expected_log_det) = found(x), flow(x)
    for one, other in zip(blocks, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-2)
    torch.testing.assert_close(log_det, expected_log_det, rtol=2e-3, atol=0.1)


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("shape", "values", "scales", "steps"),
    [
        pytest.param((1, 8, 8), (0.0, 255.0, True), 3, 1, id="the last scale of one pixel, one step"),
        pytest.param((1, 2, 1), (0.0, 1.0, False), 1, 1, id="only one pixel"),
        pytest.param((2, 6, 4), (-1.0, 1.0, False), 1, 2, id="around zero, one scale"),
        pytest.param((5, 6, 7), (-7.0, 9.0, True), 2, 1, id="many channels, padded, below zero"),
    ],
)
@torch.no_grad()
def test_a_flow_with_kernels_is_the_same_function(
    shape: tuple[int, int, int], values: tuple[float, float, bool], scales: int, steps: int
) -> None:
    low, high, integer = values
    flow = shaken(*shape, low=low, high=high, integer=integer, scales=scales, steps=steps)
    found = with_kernels(copy.deepcopy(flow))
    assert isinstance(found, ImageFlow)
    assert list(found.kernels) == list(range(scales))
    raw = low + (high - low) * torch.rand(4, *shape, generator=torch.Generator().manual_seed(1))
    assert_same(found, flow, raw.round() if integer else raw)
    assert_same(copy.deepcopy(found), flow, raw.round() if integer else raw)


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("scale", [0, 1])
@pytest.mark.parametrize("what", ["first.weight", "middle.weight", "last.weight", "first.bias"])
@torch.no_grad()
def test_a_scale_whose_weights_exceed_float16_uses_layers(scale: int, what: str) -> None:
    flow = shaken(1, 4, 4, scales=2, steps=1)
    values = steps_of_stage(flow.stages[scale])[0].conditioner.get_parameter(what)
    values[(0,) * values.ndim] = 1e5
    found = with_kernels(copy.deepcopy(flow))
    assert isinstance(found, ImageFlow)
    assert list(found.kernels) == [1 - scale]


@pytest.mark.usefixtures("gpu")
@torch.no_grad()
def test_kernels_can_follow_a_first_scale_by_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftwatch.kernels.gpu.scale.fits", lambda flow, scale: scale > 0)
    flow = shaken(1, 8, 6, low=-1.0, high=1.0, integer=False)
    found = with_kernels(copy.deepcopy(flow))
    assert isinstance(found, ImageFlow)
    assert list(found.kernels) == [1, 2]
    assert_same(found, flow, torch.rand(3, 1, 8, 6, generator=torch.Generator().manual_seed(1)))


@pytest.mark.usefixtures("gpu")
@torch.no_grad()
def test_there_are_no_kernels_if_products_must_be_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    flow = shaken(1, 4, 4, scales=2)
    found = with_kernels(copy.deepcopy(flow))
    assert isinstance(found, ImageFlow)
    assert (found.kernels, found.takes_pixels) == ({}, False)
    assert_same(found, flow, torch.full((3, 1, 4, 4), 7.0))


@pytest.mark.usefixtures("gpu")
@torch.no_grad()
def test_an_empty_batch_is_accepted_and_another_type_refused() -> None:
    flow = with_kernels(shaken(1, 4, 4, scales=2))
    blocks, log_det = flow(torch.zeros(0, 1, 4, 4))
    assert [each.shape for each in blocks] == [(0, block.vectors, block.dim) for block in flow.blocks]
    assert log_det.shape == (0,)
    with pytest.raises(TypeError, match="takes float32"):
        flow(torch.zeros(1, 1, 4, 4, dtype=torch.float64))


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
def test_the_kernel_compiles_for_gpus(architecture: str, channels: int, side: int) -> None:
    for shape in shapes(shaken(channels, side, side), by_groups=architecture == HOPPER):
        assert binary_of(architecture, "scale", shape.constants(H100[1]), shape.parts)


def test_which_scales_have_a_kernel() -> None:
    assert len(shapes(shaken(1, 28, 28))) == 3
    assert len(shapes(ImageFlow(1, 64, 64))) == 3
    larger = ImageFlow(1, 128, 128)
    assert [shape_of(larger, scale, H100[0]) is not None for scale in range(3)] == [False, True, True]
    assert not shapes(ImageFlow(1, 28, 28, hidden=32))


def test_a_block_holds_fewer_pixels_with_less_shared_memory() -> None:
    flow = ImageFlow(3, 32, 32)
    assert [each.rows for each in shapes(flow)] == [256, 256, 256]
    assert [each.rows for each in shapes(flow, SMALL)] == [256, 128]


def test_a_cpu_has_no_gpu_kernels() -> None:
    assert not compiles_for(torch.device("cpu"))
