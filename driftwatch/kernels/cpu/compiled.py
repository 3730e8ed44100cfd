"""Machine code for this CPU, by the compiler that llvmlite brings: no tools are needed."""

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
"""Version of llvmlite from which on pointers are written as they are here."""

_compiling = Lock()
"""LLVM's ways to a machine are set up once for a process, by one thread."""


class Function:
    """One function, loaded.

    Args:
        name: of it.
        text: in LLVM's language.
        pointers: how many of its arguments are those.
        counts: how many follow them.
    """

    def __init__(self, name: str, text: str, *, pointers: int, counts: int) -> None:
        from llvmlite import binding

        with _compiling:
            self._engine = binding.create_mcjit_compiler(binding.parse_assembly(text), _machine())
            self._engine.finalize_object()
        kind = CFUNCTYPE(None, *[c_void_p] * pointers, *[c_int64] * counts)
        self._function = kind(self._engine.get_function_address(name))
        self._made_of = (name, text, pointers, counts)

    def __call__(self, *arguments: Tensor | int) -> None:
        """Runs it, without Python's lock; tensors, of float32, are passed as where they lie."""
        self._function(*(_place_of(each) if isinstance(each, Tensor) else each for each in arguments))

    def __deepcopy__(self, _: dict[int, Any]) -> Function:
        """Itself: it has nothing that changes."""
        return self

    def __reduce__(self) -> tuple[Callable[..., Function], tuple[Any, ...]]:
        """Its text: another process compiles it anew."""
        return _compiled_again, self._made_of


@lru_cache(maxsize=128)
def function_of(write: Callable[[Shape], str], shape: Shape) -> Function:
    """The function `kernel` that is written for a shape, of four pointers and two counts; references share it."""
    return Function("kernel", write(shape), pointers=4, counts=2)


def _compiled_again(name: str, text: str, pointers: int, counts: int) -> Function:
    return Function(name, text, pointers=pointers, counts=counts)


def _place_of(tensor: Tensor) -> int:
    if tensor.dtype != torch.float32 or not tensor.is_contiguous():
        raise TypeError(f"a kernel takes float32, one after another, not {tensor.dtype}, {tensor.stride()}")
    return tensor.data_ptr()


@dataclass(frozen=True)
class Lack:
    """Why flows are scored layer by layer on a CPU.

    Args:
        what: is missing.
        remedy: against it.
    """

    what: str
    remedy: str


def lack_of_kernels(device: torch.device) -> Lack | None:
    """What this CPU's kernels lack; None if it has all they need, or if the device is no CPU."""
    if device.type != "cpu":
        return None
    if lack := _lack_of_compiler():
        return lack
    if _lanes() is None:
        return Lack(
            "this CPU tells of no AVX2 and FMA, no AVX-512 and no ARM vectors",
            "a virtual machine tells of them if it is given its host's CPU",
        )
    return None


def lanes_of(device: torch.device) -> int | None:
    """Samples of the widest vector that this CPU multiplies and adds at once; None if there are to be no kernels."""
    return None if device.type != "cpu" or _lack_of_compiler() else _lanes()


def _lack_of_compiler() -> Lack | None:
    """None if there is a llvmlite that loads, and none that is too old: what else is installed may want one that is."""
    remedy = "pip install 'driftwatch[cpu]'"
    try:
        found = version("llvmlite")
        if tuple(int(part) for part in found.split(".")[:2]) < OLDEST:
            return Lack(f"llvmlite {found} is older than {'.'.join(map(str, OLDEST))}", remedy)
        from llvmlite import binding

        # Its library is loaded at the first call: built for another C library, it is found only then to be of no use.
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
    """This one. Code that is written as it is to run needs none of LLVM's passes."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_triple(binding.get_process_triple())
    return target.create_target_machine(cpu=binding.get_host_cpu_name(), features=_features().flatten(), opt=2)


def _features() -> Any:
    """What this CPU can do; nothing, where LLVM cannot tell."""
    from llvmlite import binding

    try:
        return binding.get_host_cpu_features()
    except RuntimeError:
        return binding.FeatureMap()
