"""Freed memory is reused without requesting pages from the kernel."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PAGES = """
import resource
import threading
from driftwatch.freed_memory import keep_freed_memory

def copy():
    pieces = [bytes([1]) * (12 << 20) for _ in range(3)]
    joined = b"".join(pieces[:2])

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        copy()
    found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

found = []
done = keep_freed_memory()
for _ in range(2):
    # In threads that end, and begin with nothing, as those of Kafka's clients are.
    thread = threading.Thread(target=faults)
    thread.start()
    thread.join()
print(done, found[-1])
"""


def pages(**environment: str) -> tuple[bool, int]:
    """Whether memory is kept, and how many pages ten rounds of copying requested from the kernel."""
    free = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    completed = subprocess.run(
        [sys.executable, "-c", PAGES], env=free | environment, capture_output=True, text=True, check=True
    )
    done, count = completed.stdout.split()
    return done == "True", int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_reused() -> None:
    """Otherwise each round of 60 MB requests 15,000 pages again."""
    kept, requested = pages()
    assert kept
    assert requested < 5_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_settings_in_the_environment_have_precedence(name: str) -> None:
    setting = "glibc.malloc.arena_max=2" if name == "GLIBC_TUNABLES" else "100000"
    kept, requested = pages(**{name: setting})
    assert not kept
    assert requested > 20_000
