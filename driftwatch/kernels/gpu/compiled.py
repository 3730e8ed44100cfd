"""Compilation of CUDA C++ by NVRTC, which comes with PyTorch for NVIDIA GPUs, so no other tools are needed."""

from __future__ import annotations

from ctypes import c_double, c_int, c_void_p
from functools import lru_cache, partial
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from driftwatch.errors import DriftwatchError

Constants = tuple[tuple[str, int], ...]
"""Preprocessor constants that a source requires, with their values."""

OLDEST = (8, 0)
"""First compute capability with products of 16x16 tiles of float16, and asynchronous copies."""

HOPPER = "sm_90a"
"""The architecture with products of warp groups (`wgmma`); later ones have other instructions for them."""


class Kernel:
    """A kernel, loaded on one GPU.

    Args:
        name: of its function.
        binary: compiled for this GPU by `binary_of`.
        threads: per block.
        shared: bytes of shared memory per block.
        device: an NVIDIA GPU.

    Raises:
        DriftwatchError: it cannot be loaded.
    """

    def __init__(self, name: str, binary: bytes, *, threads: int, shared: int, device: torch.device) -> None:
        from cuda.bindings import driver

        self._name, self._binary = name, binary
        self._threads, self._shared, self._device = threads, shared, device
        with torch.cuda.device(device):
            torch.cuda.current_stream().synchronize()  # makes PyTorch's context current in this thread
            self._module = _checked(driver.cuModuleLoadData(binary))
            self._function = _checked(driver.cuModuleGetFunction(self._module, name.encode()))
            limit = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            _checked(driver.cuFuncSetAttribute(self._function, limit, shared))
        self._launch = driver.cuLaunchKernel

    def __deepcopy__(self, _: dict[int, Any]) -> Kernel:
        """Itself, since it has no mutable state."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the binary, which another process loads anew."""
        again = partial(Kernel, threads=self._threads, shared=self._shared, device=self._device)
        return again, (self._name, self._binary)

    def __call__(self, blocks: int, *arguments: Tensor | float | None) -> None:
        """Launch it on the GPU's current stream; tensors are passed as pointers. With 0 blocks, nothing happens.

        The launch does not synchronize, so it can be captured in a CUDA graph. The calling thread must have used the
        GPU before.

        Raises:
            TypeError: a tensor is on another device, or not contiguous.
        """
        if not blocks:
            return
        values, types = arguments_of(self._device, *arguments)
        grid, block = (blocks, 1, 1), (self._threads, 1, 1)
        with torch.cuda.device(self._device):
            stream = torch.cuda.current_stream().cuda_stream
            _checked(self._launch(self._function, *grid, *block, self._shared, stream, (values, types), 0))


@lru_cache(maxsize=256)
def kernel_for(
    device: torch.device,
    name: str,
    *,
    threads: int,
    shared: int = 0,
    constants: Constants = (),
    parts: tuple[str, ...] = (),
) -> Kernel | None:
    """The kernel `name` in the file `name` with ``.cu``, for a device; None if the device cannot run it.

    It is loaded once and never unloaded, since recorded CUDA graphs refer to it.

    Args:
        device: to run it on.
        name: of the file and its function.
        threads: per block.
        shared: bytes of shared memory per block; the result is None if the device has less.
        constants: that its source requires.
        parts: files to include before the source, in this order.

    Raises:
        DriftwatchError: it does not compile.
    """
    if not compiles_for(device) or shared > torch.cuda.get_device_properties(device).shared_memory_per_block_optin:
        return None
    binary = binary_of(architecture_of(device), name, constants, parts)
    return Kernel(name, binary, threads=threads, shared=shared, device=device)


@lru_cache
def compiles_for(device: torch.device) -> bool:
    """Whether kernels can be compiled for a device: an NVIDIA GPU, new enough, that the compiler library knows."""
    if device.type != "cuda" or torch.version.hip or not _has_bindings():
        return False
    try:
        from cuda.bindings import nvrtc

        known = _checked(nvrtc.nvrtcGetSupportedArchs())
    except (ImportError, OSError, RuntimeError):  # bindings for another CUDA version than PyTorch's find no library
        return False
    major, minor = torch.cuda.get_device_capability(device)
    return (major, minor) >= OLDEST and 10 * major + minor in known


def architecture_of(device: torch.device) -> str:
    """The architecture of a GPU, as an argument for `binary_of`."""
    major, minor = torch.cuda.get_device_capability(device)
    return HOPPER if (major, minor) == (9, 0) else f"sm_{major}{minor}"


@lru_cache(maxsize=256)
def binary_of(architecture: str, name: str, constants: Constants, parts: tuple[str, ...] = ()) -> bytes:
    """Machine code for an architecture (``sm_90``); needs no GPU. For the other arguments, see `kernel_for`.

    Raises:
        DriftwatchError: with the compiler's messages.
    """
    text = "".join(
        files(__package__).joinpath(part).read_text("utf-8") for part in ("threads.cu", *parts, f"{name}.cu")
    )
    from cuda.bindings import nvrtc

    program = _checked(nvrtc.nvrtcCreateProgram(text.encode(), f"{name}.cu".encode(), 0, [], []))
    defined = [f"-D{constant}={value}" for constant, value in constants]
    options = [each.encode() for each in (f"--gpu-architecture={architecture}", "--std=c++17", *defined)]
    (result,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    try:
        if result != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            messages = bytearray(_checked(nvrtc.nvrtcGetProgramLogSize(program)))
            _checked(nvrtc.nvrtcGetProgramLog(program, messages))
            raise DriftwatchError(
                f"a kernel does not compile: {messages.decode(errors='replace')}",
                where="driftwatch.kernels",
                remedy="report it; `device: cpu` avoids it",
            )
        binary = bytearray(_checked(nvrtc.nvrtcGetCUBINSize(program)))
        _checked(nvrtc.nvrtcGetCUBIN(program, binary))
        return bytes(binary)
    finally:
        _checked(nvrtc.nvrtcDestroyProgram(program))


def arguments_of(
    device: torch.device, *arguments: Tensor | float | None
) -> tuple[tuple[float, ...], tuple[type[c_void_p | c_int | c_double], ...]]:
    """A kernel's arguments as values, with pointers for tensors, and their C types."""
    values, types = zip(*(_argument(device, each) for each in arguments), strict=True)
    return values, types


def _argument(device: torch.device, value: Tensor | float | None) -> tuple[float, type[c_void_p | c_int | c_double]]:
    if isinstance(value, Tensor):
        if value.device != device or not value.is_contiguous():
            raise TypeError(
                f"a kernel on {device} takes contiguous tensors there, not on {value.device} with {value.stride()}"
            )
        return value.data_ptr(), c_void_p
    if value is None:
        return 0, c_void_p
    return value, c_int if isinstance(value, int) else c_double


def _has_bindings() -> bool:
    """Recent versions of PyTorch for NVIDIA GPUs install them; without them, flows run layer by layer."""
    return find_spec("cuda") is not None and find_spec("cuda.bindings") is not None


def _checked(answer: tuple[Any, ...]) -> Any:
    """The results of a CUDA call, without its result code."""
    result, *values = answer
    if int(result) != 0:
        raise DriftwatchError(
            f"CUDA answers {result!r}",
            where="driftwatch.kernels",
            remedy="check what else runs on the GPU; `device: cpu` avoids it",
        )
    return values[0] if values else None
