"""A disk that is full, for a process: whatever it writes to a file beyond some bytes is refused."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def full_disk(room: int, process: int | None = None) -> Iterator[None]:
    """Files of a process, of this one if none is given, hold so many bytes meanwhile; what is beyond is cut off."""
    pid = process or os.getpid()
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it was killed meanwhile
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
