"""Compilation of LLVM code for this CPU by llvmlite, which needs no other tools."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import CFUNCTYPE, c_int64, c_void_p
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from threading import Lock
from typing import Any, TypeVar

import torch
from torch import Tensor

Shape = TypeVar("Shape")

OLDEST = (0, 45)
"""The first version of llvmlite with the pointer syntax used here."""

_compiling = Lock()
"""LLVM's targets are initialized once per process, by one thread at a time."""


class Function:
    """A compiled and loaded function.

    Args:
        name: of the function.
        text: its LLVM code.
        pointers: number of its pointer arguments.
        counts: number of the integer arguments that follow them.
    """

    def __init__(self, name: str, text: str, *, pointers: int, counts: int) -> None:
        from llvmlite import binding

        with _compiling:
            self._engine = binding.create_mcjit_compiler(binding.parse_assembly(text), _machine())
            self._engine.finalize_object()
        kind = CFUNCTYPE(None, *[c_void_p] * pointers, *[c_int64] * counts)
        self._function = kind(self._engine.get_function_address(name))
        self._source = (name, text, pointers, counts)

    def __call__(self, *arguments: Tensor | int) -> None:
        """Run it, without the GIL; tensors, which must be float32, are passed as pointers to their data."""
        self._function(*(_place_of(each) if isinstance(each, Tensor) else each for each in arguments))

    def __deepcopy__(self, _: dict[int, Any]) -> Function:
        """Itself, since it has no mutable state."""
        return self

    def __reduce__(self) -> tuple[Callable[..., Function], tuple[Any, ...]]:
        """Pickle the source, which another process compiles anew."""
        return _compiled_again, self._source


@lru_cache(maxsize=128)
def function_of(write: Callable[[Shape], str], shape: Shape) -> Function:
    """The function `kernel` generated for a shape, with four pointers and two counts; shared between references."""
    return Function("kernel", write(shape), pointers=4, counts=2)


def _compiled_again(name: str, text: str, pointers: int, counts: int) -> Function:
    return Function(name, text, pointers=pointers, counts=counts)


def _place_of(tensor: Tensor) -> int:
    if tensor.dtype != torch.float32 or not tensor.is_contiguous():
        raise TypeError(f"a kernel takes contiguous float32, not {tensor.dtype} with strides {tensor.stride()}")
    return tensor.data_ptr()


@dataclass(frozen=True)
class Lack:
    """Why flows are scored layer by layer on a CPU.

    Args:
        what: the missing requirement.
        remedy: how to provide it.
    """

    what: str
    remedy: str


def lack_of_kernels(device: torch.device) -> Lack | None:
    """The first missing requirement of CPU kernels; None if there is none, or if the device is not a CPU."""
    if device.type != "cpu":
        return None
    if lack := _lack_of_compiler():
        return lack
    if _lanes() is None:
        return Lack(
            "this CPU reports neither AVX2 and FMA, nor AVX-512, nor ARM vectors",
            "a virtual machine reports them if it is configured to pass through its host's CPU",
        )
    return None


def lanes_of(device: torch.device) -> int | None:
    """Numbers in this CPU's widest vector; None if kernels are not available."""
    return None if device.type != "cpu" or _lack_of_compiler() else _lanes()


def _lack_of_compiler() -> Lack | None:
    """None if llvmlite loads and is recent enough; other packages may have installed an older version."""
    remedy = "pip install 'driftwatch[cpu]'"
    try:
        found = version("llvmlite")
        if tuple(int(part) for part in found.split(".")[:2]) < OLDEST:
            return Lack(f"llvmlite {found} is older than {'.'.join(map(str, OLDEST))}", remedy)
        from llvmlite import binding

        # Its library loads at the first call; a build for another C library fails only then.
        binding.get_process_triple()
    except PackageNotFoundError:
        return Lack("llvmlite is not installed", remedy)
    except (ImportError, OSError):
        return Lack("llvmlite does not load", remedy)
    return None


def _lanes() -> int | None:
    from llvmlite import binding

    has = _features()
    if has.get("avx512f"):
        return 16
    if has.get("avx2") and has.get("fma"):
        return 8
    return 4 if binding.get_process_triple().startswith(("aarch64", "arm64")) else None


def _machine() -> Any:
    """The target for this CPU. The generated code needs none of LLVM's optimization passes."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_triple(binding.get_process_triple())
    return target.create_target_machine(cpu=binding.get_host_cpu_name(), features=_features().flatten(), opt=2)


def _features() -> Any:
    """Features of this CPU; none if LLVM cannot detect them."""
    from llvmlite import binding

    try:
        return binding.get_host_cpu_features()
    except RuntimeError:
        return binding.FeatureMap()
