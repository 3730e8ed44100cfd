"""Which kernels a flow gets."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError

import pytest
import torch
from llvmlite import binding

from driftwatch.flows.image import ImageFlow
from driftwatch.flows.vector import VectorFlow
from driftwatch.kernels.chosen import with_kernels
from driftwatch.kernels.cpu import compiled
from driftwatch.kernels.cpu.compiled import Lack, lack_of_kernels, lanes_of
from tests.shaken_flows import shaken, vector_flow

CPU = torch.device("cpu")


def test_an_image_flow_gets_the_kernels_of_its_cpu() -> None:
    if not lanes_of(CPU):
        pytest.skip("this CPU lacks the vector instructions that the kernels use")
    flow = with_kernels(shaken(1, 16, 16))
    assert isinstance(flow, ImageFlow)
    assert list(flow.kernels) == [0, 1, 2]
    assert flow.batch_invariant


def test_a_vector_flow_gets_the_kernel_of_its_cpu() -> None:
    if not lanes_of(CPU):
        pytest.skip("this CPU lacks the vector instructions that the kernels use")
    flow = with_kernels(vector_flow(5))
    assert isinstance(flow, VectorFlow)
    assert flow.kernel is not None
    assert flow.batch_invariant


def test_a_single_dimension_has_no_kernel() -> None:
    flow = with_kernels(vector_flow(1))
    assert isinstance(flow, VectorFlow)
    assert flow.kernel is None
    assert not flow.batch_invariant


def not_installed(name: str) -> str:
    raise PackageNotFoundError(name)


def fail_to_load() -> str:
    raise OSError("Could not find/load shared object file 'libllvmlite.so'")


def assert_no_kernels() -> None:
    images, vectors = with_kernels(shaken(1, 16, 16)), with_kernels(vector_flow(5))
    assert isinstance(images, ImageFlow)
    assert isinstance(vectors, VectorFlow)
    assert not images.kernels
    assert vectors.kernel is None
    assert not images.batch_invariant
    assert not vectors.batch_invariant


@pytest.mark.parametrize("version", [not_installed, lambda name: "0.44.0"], ids=["none", "too old"])
def test_without_the_compiler_flows_run_layer_by_layer(
    version: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "version", version)
    assert_no_kernels()
    assert lack_of_kernels(CPU) in (
        Lack("llvmlite is not installed", "pip install 'driftwatch[cpu]'"),
        Lack("llvmlite 0.44.0 is older than 0.45", "pip install 'driftwatch[cpu]'"),
    )


def test_if_the_compiler_does_not_load_flows_run_layer_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "get_process_triple", fail_to_load)
    assert_no_kernels()
    assert lack_of_kernels(CPU) == Lack("llvmlite does not load", "pip install 'driftwatch[cpu]'")


def test_on_an_old_cpu_flows_run_layer_by_layer_and_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    old = binding.FeatureMap()
    old.update({"sse2": True, "avx": True, "avx2": True})
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: old)
    monkeypatch.setattr(binding, "get_process_triple", lambda: "x86_64-unknown-linux-gnu")
    assert_no_kernels()
    assert (lack := lack_of_kernels(CPU))
    assert "neither AVX2 and FMA" in lack.what


def test_nothing_is_lacking_with_kernels_or_on_a_gpu() -> None:
    assert (lack_of_kernels(CPU) is None) == (lanes_of(CPU) is not None)
    assert lack_of_kernels(torch.device("cuda")) is None
