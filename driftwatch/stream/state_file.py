"""State files: replaced atomically, and readable by their owner alone."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

LONGEST_NAME = 200
"""Bytes of a file's name; file systems allow 255, and suffixes need some."""

AT_ONCE = 1 << 20
"""Bytes passed to the operating system at a time."""


def name_for(stream: str) -> str:
    """The base name of a stream's files: its own name, unless that is too long.

    >>> name_for("checkout"), name_for("流" * 100)
    ('checkout', '84fe972cee0e21f3859e0ccd51cc03de')
    """
    return stream if len(stream.encode()) <= LONGEST_NAME else hashlib.sha256(stream.encode()).hexdigest()[:32]


def write_whole(path: Path, content: Iterable[bytes]) -> None:
    """Write or replace a file atomically, from pieces of content: readers see the old file or the new one, complete.

    Raises:
        OSError: it cannot be written; the old file stays.
    """
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(partial, "wb", buffering=AT_ONCE, opener=_private) as file:
            file.writelines(content)
            file.flush()
            # Some file systems report only now that they are full.
            os.fsync(file.fileno())
    except OSError:
        # A partial file takes up space that is needed.
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


def append_whole(path: Path, line: bytes, *, sync: bool = False) -> int:
    """Append a line to a file, completely or not at all.

    Args:
        path: of the file.
        line: including its newline.
        sync: whether to flush it to the disk before returning.

    Returns:
        The new size of the file, bytes.

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
    """Open a file, creating it readable by the owner alone: waiting alerts may hold samples."""
    return os.open(path, flags, 0o600)
