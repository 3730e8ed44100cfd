"""Suspension of Python's garbage collector while a large body is parsed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

LARGE = 1 << 20
"""Bytes of a body; smaller ones do not contain enough lists to matter."""


@contextmanager
def uncollected(size: int) -> Iterator[None]:
    """Suspend the garbage collector while a large body is parsed.

    All lists that parsing creates stay in use, but the collector walks through them again and again: for 16 MiB of
    short lists during three of four seconds, in which no other thread of the process runs.

    Args:
        size: of the body, bytes.
    """
    if size < LARGE or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
