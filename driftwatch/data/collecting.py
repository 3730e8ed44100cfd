"""Python's garbage collector while a large body is parsed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

LARGE = 1 << 20
"""Bytes of a body. Of less there are no lists enough to matter."""


@contextmanager
def uncollected(size: int) -> Iterator[None]:
    """Keeps the collector out of the parsing of a body.

    All lists that parsing makes are in use, and the collector walks through them again and again: of 16 MiB of short
    lists for three of four seconds, in which no other thread of the process runs.

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
