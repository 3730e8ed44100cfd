"""Shifts the wall clock: Python imports this module first if its folder is in PYTHONPATH."""

from __future__ import annotations

import os
import time
from pathlib import Path

OFFSET_FILE = Path(os.environ["DRIFTWATCH_TEST_CLOCK"])
"""Holds the offset in seconds; it is read again at each call."""

real_time_ns = time.time_ns


def time_ns() -> int:
    """Replaces `time.time_ns`."""
    return real_time_ns() + int(OFFSET_FILE.read_text()) * 1_000_000_000


def time_s() -> float:
    """Replaces `time.time`."""
    return time_ns() / 1e9


time.time_ns, time.time = time_ns, time_s
