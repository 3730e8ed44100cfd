"""Files of state: whole at any instant, whenever the process ends, and readable by its own user alone."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

LONGEST_NAME = 200
"""Bytes of a file's name; file systems take no more than 255, of which endings need some."""

AT_ONCE = 1 << 20
"""Bytes that the operating system is given at once."""


def name_for(stream: str) -> str:
    """What a stream's files are called: as itself, unless that is too long.

    >>> name_for("checkout"), name_for("流" * 100)
    ('checkout', '84fe972cee0e21f3859e0ccd51cc03de')
    """
    return stream if len(stream.encode()) <= LONGEST_NAME else hashlib.sha256(stream.encode()).hexdigest()[:32]


def write_whole(path: Path, content: Iterable[bytes]) -> None:
    """Writes a file of some pieces, or replaces it; whoever reads it meanwhile finds all of the old one or of the new.

    Raises:
        OSError: it cannot be written; the old one stays.
    """
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(partial, "wb", buffering=AT_ONCE, opener=_private) as file:
            file.writelines(content)
            file.flush()
            # Some file systems notice only now that they are full.
            os.fsync(file.fileno())
    except OSError:
        # What was written of it takes room that is needed.
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


def append_whole(path: Path, line: bytes, *, sync: bool = False) -> int:
    """Appends to a file all of a line or nothing.

    Args:
        path: of the file.
        line: with its end.
        sync: whether it is to be on the disk before this returns.

    Returns:
        The size of the file then.

    Raises:
        OSError: it cannot be written.
    """
    with open(path, "ab", buffering=0, opener=_private) as file:
        before = file.tell()
        if file.write(line) < len(line):
            file.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if sync:
            os.fsync(file.fileno())
        return file.tell()


def _private(path: str, flags: int) -> int:
    """Opens a file that nobody else can read if it is made now: alerts that wait may hold samples."""
    return os.open(path, flags, 0o600)
