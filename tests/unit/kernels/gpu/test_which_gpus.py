"""For which devices kernels are compiled, and which arguments they accept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch
from cuda.bindings import nvrtc

from driftwatch.errors import DriftwatchError
from driftwatch.kernels.gpu import compiled
from driftwatch.kernels.gpu.compiled import HOPPER, Kernel, architecture_of, arguments_of, binary_of, compiles_for

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def _clear_cache() -> Iterator[None]:
    compiles_for.cache_clear()
    yield
    compiles_for.cache_clear()


def capability_of(*found: int) -> Callable[..., tuple[int, ...]]:
    return lambda device: found


@pytest.mark.parametrize(
    ("capability", "architecture", "compiles"),
    [((7, 5), "sm_75", False), ((8, 0), "sm_80", True), ((9, 0), HOPPER, True), ((99, 0), "sm_990", False)],
    ids=["too old", "Ampere", "Hopper", "of the future"],
)
def test_kernels_are_compiled_for_known_architectures(
    capability: tuple[int, int], architecture: str, compiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", capability_of(*capability))
    assert architecture_of(GPU) == architecture
    assert compiles_for(GPU) is compiles


def test_other_vendors_have_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", capability_of(9, 0))
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert not compiles_for(GPU)


def test_without_cuda_bindings_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", capability_of(9, 0))
    monkeypatch.setattr(compiled, "find_spec", lambda name: None)
    assert not compiles_for(GPU)


@pytest.mark.parametrize("error", [RuntimeError, ImportError, OSError])
def test_if_the_compiler_does_not_load_there_are_no_kernels(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise error("Failed to dlopen libnvrtc.so.13")

    monkeypatch.setattr(torch.cuda, "get_device_capability", capability_of(9, 0))
    monkeypatch.setattr(nvrtc, "nvrtcGetSupportedArchs", missing)
    assert not compiles_for(GPU)


def test_a_kernel_that_needs_too_much_shared_memory_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = SimpleNamespace(shared_memory_per_block_optin=100)
    monkeypatch.setattr(torch.cuda, "get_device_capability", capability_of(9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    assert compiled.kernel_for(GPU, "shorten", threads=32, shared=101) is None


def test_a_compilation_error_has_the_compiler_s_message() -> None:
    with pytest.raises(DriftwatchError, match=r'identifier "THREADS" is undefined'):
        binary_of("sm_80", "shorten", ())


def test_tensors_are_passed_by_address() -> None:
    x = torch.zeros(2, 3)
    values, types = arguments_of(CPU, x, None, 3, 0.5)
    assert values == (x.data_ptr(), 0, 3, 0.5)
    assert [each.__name__ for each in types] == ["c_void_p", "c_void_p", "c_int", "c_double"]


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3).T, torch.zeros(2, device="meta")], ids=["transposed", "elsewhere"])
def test_tensors_that_a_kernel_would_misread_are_refused(wrong: torch.Tensor) -> None:
    with pytest.raises(TypeError, match="contiguous"):
        arguments_of(CPU, wrong)


def test_a_copy_is_the_same_kernel() -> None:
    kernel = Kernel.__new__(Kernel)
    assert copy.deepcopy(kernel) is kernel
