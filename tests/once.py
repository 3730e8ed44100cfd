"""Folders that the processes of a test run share: the first that needs one makes it, the others wait for it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Path]) -> Path:
    """What `make` makes in a folder that it is given, once in a run; nobody may change it.

    Args:
        factory: of this process's temporary folders.
        name: of the folder, one for each `make`.
        make: returns the path of what it made, in the folder.
    """
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = folder / ".made"
        if not told.exists():
            made = make(folder)
            told.write_text(made.name)
        return folder / told.read_text()
