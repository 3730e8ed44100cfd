"""Keeps freed memory for reuse, instead of returning it to the kernel and requesting it again.

Reading large messages from Kafka allocates and frees megabytes for each copy of a broker's response. The GNU C library
returns them at once, and faults new ones in page by page: half the cost of such reading (`benchmarks.kafka_path`).
"""

from __future__ import annotations

import ctypes
import os
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""From malloc.h."""

LARGEST_BYTES = 32 << 20
"""Largest block that is kept when it is freed; the library allows no more."""

SPARE_BYTES = 128 << 20
"""The most free memory that is kept at the top of a heap."""

SETTINGS = ("MALLOC_", "GLIBC_TUNABLES")
"""Prefixes of environment variables that set such limits."""


def keep_freed_memory() -> bool:
    """Set the allocator's limits; call it before there are threads. Returns whether it was done.

    It is not done if the environment sets such limits, or with another C library.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith(SETTINGS) for name in os.environ):
        return False
    library = ctypes.CDLL(None)
    limits = {
        M_MMAP_THRESHOLD: LARGEST_BYTES,
        M_TRIM_THRESHOLD: SPARE_BYTES,
        # Heaps of threads are trimmed whatever the limits, and the clients receive in threads.
        M_ARENA_MAX: 1,
    }
    return all(library.mallopt(name, value) for name, value in limits.items())
