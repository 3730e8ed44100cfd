"""Atomic writing of folders: a folder appears under its name completely or not at all."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def write_folder(
    out: Path, files: Mapping[str, bytes], *, check: Callable[[Path], object], replace: bool = False
) -> None:
    """Write files into a hidden folder beside `out`, flush them to disk, and rename the folder in one step.

    Args:
        out: the folder; it must not exist or must be empty, unless `replace`.
        files: contents by name.
        check: reads the folder before it is renamed; an exception of it propagates, and nothing is written.
        replace: replace an existing folder, whose files are then removed; of a link, only the link.

    Raises:
        OSError: the folder cannot be written; nothing is left of it, and what was at `out` is still there.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    try:
        for name, content in files.items():
            with (partial / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        partial.chmod(0o755)
        sync_folder(partial)
        check(partial)
        if replace and out.exists():
            _exchange(partial, out)
        else:
            partial.rename(out)
        sync_folder(out.parent)
    finally:
        _remove(partial)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename in it survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(left: Path) -> None:
    """Remove what is left beside the folder: its partial form, or the folder or link that it replaced."""
    if left.is_symlink():
        left.unlink()
    else:
        shutil.rmtree(left, ignore_errors=True)


def _exchange(new: Path, old: Path) -> None:
    """Exchange two folders' names, atomically where the system can; otherwise, neither exists for an instant."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        paths = os.fsencode(new), os.fsencode(old)
        if libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0:
            return
    aside = new.with_name(f"{new.name}.old")
    old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        aside.rename(old)
        raise
    aside.rename(new)
