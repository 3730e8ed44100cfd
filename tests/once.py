"""Folders that the processes of a test run share: the first that needs one makes it, the others wait."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Path]) -> Path:
    """The result of `make`, which is called once in a test run; it must not be modified.

    Args:
        factory: of this process's temporary folders.
        name: of the folder, unique to `make`.
        make: makes something in the folder that it is given, and returns its path.
    """
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marker = folder / ".made"
        if not marker.exists():
            made = make(folder)
            marker.write_text(made.name)
        return folder / marker.read_text()
