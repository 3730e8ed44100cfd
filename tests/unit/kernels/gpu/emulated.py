"""Runs a kernel's own source on the CPU, thread by thread (`lanes.h`): tests have no GPU."""

from __future__ import annotations

import ctypes
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from driftwatch.kernels.gpu import compiled
from driftwatch.kernels.gpu.compiled import Constants, Kernel, arguments_of

HERE = Path(__file__).parent
SOURCES = Path(compiled.__file__).parent
FLAGS = ("-std=c++17", "-O1", "-w", "-fno-strict-aliasing", "-U_FORTIFY_SOURCE", "-shared", "-fPIC")
CPU = torch.device("cpu")


class Emulated(Kernel):
    """A kernel with the interface of `driftwatch.kernels.gpu.compiled.Kernel`.

    Args:
        library: its function ``run`` runs the kernel.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def __call__(self, blocks: int, *arguments: Tensor | float | None, first: int = 0) -> None:
        """Run blocks of threads, starting with block `first`."""
        values, types = arguments_of(CPU, *arguments)
        held = [kind(value) for kind, value in zip(types, values, strict=True)]  # type: ignore[arg-type]
        places = (ctypes.c_void_p * len(held))(*map(ctypes.addressof, held))
        self._library.run(first, blocks, places)


@cache
def emulated(
    device: torch.device,
    name: str,
    *,
    threads: int,
    shared: int = 0,
    constants: Constants = (),
    parts: tuple[str, ...] = (),
) -> Emulated:
    """Replaces `driftwatch.kernels.gpu.compiled.kernel_for`; `lanes.h` replaces the hardware."""
    assert device == CPU
    assert shared <= 1 << 20
    sources = [part for part in ("threads.cu", *parts, f"{name}.cu") if not part.endswith("_instructions.cu")]
    included = [
        word for each in (HERE / "lanes.h", *(SOURCES / part for part in sources)) for word in ("-include", each)
    ]
    defined = [f"-D{constant}={value}" for constant, value in (("LANES", threads), *constants)]
    with TemporaryDirectory() as folder:
        library = Path(folder) / "kernel.so"
        command = ["g++", *FLAGS, *defined, f"-DKERNEL={name}", *included, HERE / "on_cpu.cpp", "-o", library]
        subprocess.run(list(map(str, command)), check=True, timeout=120)
        return Emulated(ctypes.CDLL(str(library)))
