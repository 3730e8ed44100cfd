"""How many CPUs this process may use, which in a container is often less than what the machine has.

PyTorch starts a thread for each CPU of the machine. A container that may use two CPUs' time of 64 then runs 64 threads,
which wait for each other at each layer while the kernel lets only a few of them run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

VARIABLE = "OMP_NUM_THREADS"
"""Read by PyTorch, NumPy and SciPy when they are imported."""

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def available_cpus(own: Path = OWN_CGROUPS, mounted: Path = CGROUPS) -> int:
    """The number of CPUs that this process may use: by its affinity, and by the quota of its control groups.

    Args:
        own: lists the control groups of this process.
        mounted: folder where control groups are mounted.
    """
    affinity = len(os.sched_getaffinity(0))
    # A fraction of a CPU is no further thread: it would be waited for.
    return min([affinity, *(max(1, int(quota)) for quota in _quotas(own, mounted))])


def limit_threads(own: Path = OWN_CGROUPS, mounted: Path = CGROUPS) -> None:
    """Where a quota allows less than the CPUs there are, let libraries that are imported later start fewer threads.

    A number of threads that the user has set remains.

    Args:
        own: lists the control groups of this process.
        mounted: folder where control groups are mounted.
    """
    cpus = available_cpus(own, mounted)
    if cpus < len(os.sched_getaffinity(0)):
        os.environ.setdefault(VARIABLE, str(cpus))


def _quotas(own: Path, mounted: Path) -> Iterator[float]:
    """CPUs allowed by each control group that this process is in, and by those above it."""
    with suppress(OSError):
        for line in own.read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0":
                roots = [mounted]
            elif "cpu" in controllers.split(","):
                roots = [mounted / controllers, mounted / "cpu"]
            else:
                continue
            # In a container the path may be the host's; what is mounted then is the container's own group.
            inside = Path(path.lstrip("/"))
            for root in roots:
                for folder in (root / each for each in (inside, *inside.parents)):
                    yield from _quota(folder)


def _quota(folder: Path) -> Iterator[float]:
    """CPUs allowed by one control group, in version 2 or 1, if it limits them."""
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text().split()
        yield int(quota) / int(period)  # "max" is no number
    with suppress(OSError, ValueError):
        quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        if int(quota) > 0:  # -1: no limit
            yield int(quota) / int(period)
