"""A folder of files that appears under its name whole or not at all."""

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
    """Writes files into a hidden folder beside `out`, brings them to the disk, and gives it its name in one step.

    Args:
        out: the folder; there must be none of that name, or an empty one, unless `replace`.
        files: contents by name.
        check: reads the folder before it gets its name; what it raises goes to the caller, and nothing is written.
        replace: take the place of an existing folder, whose files are then removed; of a link only the link.

    Raises:
        OSError: it cannot be written; nothing half-written is left, and what was at `out` is still there.
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
    """Brings a folder's entries to the disk, so that a rename in it outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(left: Path) -> None:
    """Removes what is left beside the folder: a part of it, or what it took the place of, which may be a link."""
    if left.is_symlink():
        left.unlink()
    else:
        shutil.rmtree(left, ignore_errors=True)


def _exchange(new: Path, old: Path) -> None:
    """Exchanges two folders' names: at once where the system can, else with an instant in which there is neither."""
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
