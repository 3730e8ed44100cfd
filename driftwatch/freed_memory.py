"""Keeps what Python frees for what it needs next, instead of handing it to the kernel and back.

Reading large messages from Kafka makes and frees megabytes for each copy of a broker's answer. GNU's C library returns
them at once, and gets them anew page by page: half of what such reading costs (`benchmarks.kafka_path`).
"""

from __future__ import annotations

import ctypes
import os
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Of malloc.h."""

LARGEST_BYTES = 32 << 20
"""Of one piece of memory that is kept when it is freed; the library takes no more."""

SPARE_BYTES = 128 << 20
"""The most that is kept of a heap's end."""

STATED = ("MALLOC_", "GLIBC_TUNABLES")
"""How settings of the environment begin."""


def keep_freed_memory() -> bool:
    """Call it before there are threads; gives whether it was done.

    It is not where the environment states such limits by itself, nor with another C library.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith(STATED) for name in os.environ):
        return False
    library = ctypes.CDLL(None)
    limits = {
        M_MMAP_THRESHOLD: LARGEST_BYTES,
        M_TRIM_THRESHOLD: SPARE_BYTES,
        # Heaps of threads are given back whatever the limits, and the clients receive in threads.
        M_ARENA_MAX: 1,
    }
    return all(library.mallopt(name, value) for name, value in limits.items())
