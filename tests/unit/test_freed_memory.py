"""Whether memory that was freed is used again without asking the kernel."""

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
    """Whether memory was to be kept, and how many pages ten rounds of copying asked the kernel for."""
    free = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    ran = subprocess.run(
        [sys.executable, "-c", PAGES], env=free | environment, capture_output=True, text=True, check=True, timeout=60
    )
    done, count = ran.stdout.split()
    return done == "True", int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_what_is_freed_is_used_again() -> None:
    """Else each round of 60 MB takes 15,000 pages anew."""
    kept, asked = pages()
    assert kept
    assert asked < 5_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_environment_states_stays_in_force(name: str) -> None:
    stated = "glibc.malloc.arena_max=2" if name == "GLIBC_TUNABLES" else "100000"
    kept, asked = pages(**{name: stated})
    assert not kept
    assert asked > 20_000
