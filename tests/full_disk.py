"""A full disk, as a process sees it: files cannot grow beyond a number of bytes."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def full_disk(room: int, process: int | None = None) -> Iterator[None]:
    """Limit the size of a process's files, by default this process's; writes beyond the limit fail."""
    pid = process or os.getpid()
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # the process was killed in the meantime
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
