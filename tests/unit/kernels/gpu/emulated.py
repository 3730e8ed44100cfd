"""A kernel's own source, compiled for the CPU and run there thread by thread (`lanes.h`): tests have no GPU."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from driftwatch.kernels.gpu import compiled

HERE = Path(__file__).parent
SOURCES = Path(compiled.__file__).parent
FLAGS = ("-std=c++17", "-O1", "-w", "-fno-strict-aliasing", "-shared", "-fPIC", f"-I{HERE}", f"-I{SOURCES}")


def emulated(driver: str, folder: Path, threads: int, constants: Mapping[str, int]) -> ctypes.CDLL:
    """A library whose function ``run`` runs a kernel.

    Args:
        driver: the name of the file here that calls it.
        folder: to compile in.
        threads: of a block.
        constants: that its source leaves open.
    """
    defined = {"LANES": threads, **constants}
    library = folder / f"{'-'.join(f'{name}{value}' for name, value in defined.items())}.so"
    command = ["g++", *FLAGS, *(f"-D{name}={value}" for name, value in defined.items())]
    subprocess.run([*command, str(HERE / driver), "-o", str(library)], check=True, timeout=120)
    return ctypes.CDLL(str(library))


def at(tensor: Tensor) -> ctypes.c_void_p:
    """Where a contiguous tensor lies."""
    assert tensor.is_contiguous()
    return ctypes.c_void_p(tensor.data_ptr())
