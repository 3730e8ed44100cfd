"""Computations besides the flow give the same results by kernels as by PyTorch and NumPy.

The kernels' own sources run on the CPU (`tests.unit.kernels.gpu.emulated`), called as on a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from driftwatch.flows.base import content_noise
from driftwatch.kernels.gpu import compiled, descriptors, divergence, noise, shortened
from driftwatch.kernels.gpu.compiled import HOPPER, Constants, binary_of
from driftwatch.stats.decomposition import decompose
from driftwatch.stats.decomposition import divergence as divergence_of
from driftwatch.stats.descriptors import image_descriptors
from driftwatch.stats.moments import shorten
from driftwatch.stats.summary import Layout, Whitened, merge, summarise_each
from tests.unit.kernels.gpu.emulated import Emulated, emulated

MODULES = (noise, shortened, divergence, descriptors)


@pytest.fixture
def compiled_kernels(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the kernels that were used, all of them on the CPU."""
    used = set()

    def kernel_for(device: torch.device, name: str, **what: Any) -> Emulated:
        used.add(name)
        return emulated(device, name, **what)

    for module in MODULES:
        monkeypatch.setattr(module, "kernel_for", kernel_for)
    return used


@pytest.mark.parametrize("dim", [1, 784, 1_031])
def test_noise_is_the_same_to_the_bit(dim: int, compiled_kernels: set[str]) -> None:
    x = torch.randn(3, dim, generator=torch.Generator().manual_seed(0)) * 100
    x[0] = 0.0
    assert torch.equal(noise.content_noise_of(x), content_noise(x))
    assert compiled_kernels == {"content_noise"}


@pytest.mark.parametrize("length", [1, 8, 32, 100])
@pytest.mark.parametrize(
    "limit", [5.0, torch.tensor(5.0, dtype=torch.float64), torch.tensor(5.0)], ids=["number", "tensor", "float32"]
)
def test_vectors_are_shortened_equally(length: int, limit: float | Tensor, compiled_kernels: set[str]) -> None:
    vectors = 3 * torch.randn(5, 7, length, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    vectors[0, 0] = 0.0
    vectors[0, 1] = 1e150
    found = shortened.shortened(vectors, limit)
    assert found is not None
    np.testing.assert_allclose(found.numpy(), shorten(vectors.numpy(), float(limit)), rtol=1e-12)
    assert compiled_kernels == {"shorten"}


def _summaries(layout: Layout, count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Summaries of single samples, of windows of ten, and of a window of one sample repeated."""
    draw = np.random.default_rng(1).standard_normal
    blocks = tuple(draw((count, vectors, length)) * 1.3 + 0.4 for vectors, length in layout.blocks)
    each = summarise_each(Whitened(draw((count, layout.dim)), draw((count, layout.axes)), blocks, draw(count)), layout)
    windows = [merge(each[start : start + 10]) for start in range(0, count, 10)]
    return np.stack([*each, *windows, merge([each[0]] * 50)])


@pytest.mark.parametrize(
    "blocks", [((64, 8), (16, 16)), ((4, 48),), ((1, 5), (1, 1))], ids=["grey", "colour", "single"]
)
def test_divergences_equal_those_of_the_decomposition(
    blocks: tuple[tuple[int, int], ...], compiled_kernels: set[str]
) -> None:
    layout = Layout(dim=sum(vectors * length for vectors, length in blocks), blocks=blocks, axes=2)
    summaries = _summaries(layout, 20)
    found = divergence_of(torch.from_numpy(summaries), layout)
    np.testing.assert_allclose(found, decompose(summaries, layout).total, rtol=1e-9, atol=1e-9)
    assert compiled_kernels == {"divergence"}


@pytest.mark.parametrize(
    ("shape", "low", "high", "width"),
    [
        ((1, 28, 28), 0.0, 255.0, 1.0),
        ((3, 33, 20), -1.0, 1.0, 2 / 256),
        ((5, 9, 3), 0.0, 1.0, 1 / 256),
        ((1, 1, 2), 0.0, 255.0, 1.0),
    ],
    ids=["grey", "colour", "many channels", "tiny"],
)
def test_images_have_the_same_descriptors(
    shape: tuple[int, int, int], low: float, high: float, width: float, compiled_kernels: set[str]
) -> None:
    draw = np.random.default_rng(2)
    images = (low + (high - low) * draw.uniform(-0.1, 1.1, (4, *shape))).astype(np.float32)
    images[0] = low
    found = image_descriptors(torch.from_numpy(images), low=low, high=high, noise=width)  # type: ignore[arg-type]
    expected = image_descriptors(images, low=low, high=high, noise=width)
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-9, err_msg=name)
    assert compiled_kernels == {"describe"}


def test_tensors_may_be_transposed(compiled_kernels: set[str]) -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(5, 3, generator=draw).T
    assert torch.equal(noise.content_noise_of(x), content_noise(x))
    vectors = torch.randn(4, 6, dtype=torch.float64, generator=draw).T
    found = shortened.shortened(vectors, 1.0)
    np.testing.assert_allclose(found, shorten(vectors.numpy(), 1.0), rtol=1e-12)
    images = torch.rand(2, 8, 8, 3, generator=draw).permute(0, 3, 1, 2)
    described = image_descriptors(images, low=0.0, high=1.0, noise=0.1)  # type: ignore[arg-type]
    expected = image_descriptors(images.numpy(), low=0.0, high=1.0, noise=0.1)
    for name, values in expected.items():
        np.testing.assert_allclose(described[name], values, rtol=1e-9, atol=1e-9, err_msg=name)
    layout = Layout(dim=6, blocks=((3, 2),), axes=1)
    summaries = _summaries(layout, 10)
    transposed = torch.from_numpy(summaries.T.copy()).T
    np.testing.assert_allclose(divergence_of(transposed, layout), decompose(summaries, layout).total, rtol=1e-9)
    assert compiled_kernels == {"content_noise", "shorten", "describe", "divergence"}


@pytest.mark.parametrize("rows", [0, 1])
def test_batches_may_be_empty(rows: int, compiled_kernels: set[str]) -> None:
    assert noise.content_noise_of(torch.zeros(rows, 3)).shape == (rows, 3)
    found = shortened.shortened(torch.zeros(rows, 2, 3, dtype=torch.float64), 1.0)
    assert found is not None
    assert found.shape == (rows, 2, 3)
    described = image_descriptors(torch.zeros(rows, 1, 4, 4), low=0.0, high=1.0, noise=1.0)  # type: ignore[arg-type]
    assert {len(values) for values in described.values()} == {rows}
    layout = Layout(dim=6, blocks=((3, 2),), axes=1)
    assert divergence_of(torch.ones(rows, layout.size, dtype=torch.float64), layout).shape == (rows,)


def test_other_floating_point_types_are_left_to_pytorch(compiled_kernels: set[str]) -> None:
    assert shortened.shortened(torch.ones(2, 3), 1.0) is None
    assert divergence.divergences(torch.ones(2, 9), [divergence.Block(1, 2, 3, 5)]) is None
    assert not compiled_kernels


@pytest.mark.parametrize("architecture", ["sm_80", HOPPER])
def test_kernels_compile_for_gpus(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    binaries = []

    def kernel_for(device: torch.device, name: str, *, constants: Constants, **_: int) -> None:
        binaries.append(binary_of(architecture, name, constants))

    for module in MODULES:
        monkeypatch.setattr(module, "kernel_for", kernel_for)
    noise.content_noise_of(torch.zeros(1, 4))
    shortened.shortened(torch.zeros(1, 4, dtype=torch.float64), 1.0)
    divergence.divergences(torch.zeros(1, 9, dtype=torch.float64), [divergence.Block(1, 2, 3, 5)])
    image_descriptors(torch.zeros(1, 3, 8, 8), low=0.0, high=1.0, noise=1.0)  # type: ignore[arg-type]
    assert len(binaries) == 4
    assert all(binaries)


def test_a_cpu_has_no_gpu_kernels() -> None:
    assert compiled.kernel_for(torch.device("cpu"), "shorten", threads=32) is None
