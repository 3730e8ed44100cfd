"""Python imports this before all else, where its folder is in PYTHONPATH: from then on the wall clock is off."""

from __future__ import annotations

import os
import time
from pathlib import Path

FILE = Path(os.environ["DRIFTWATCH_TEST_CLOCK"])
"""Says by how many seconds; it is read again whenever somebody asks for the time."""

right_ns = time.time_ns


def time_ns() -> int:
    """In place of `time.time_ns`."""
    return right_ns() + int(FILE.read_text()) * 1_000_000_000


def time_s() -> float:
    """In place of `time.time`."""
    return time_ns() / 1e9


time.time_ns, time.time = time_ns, time_s
