"""Wall clocks of daemons, each of which can be set while it runs; monotonic clocks are not affected.

libfaketime 0.9.10 would do that for a whole process, but with it Python's ``time.sleep`` raises EINVAL. So the clock is
shifted within Python, whose `time.time` is all that the daemon calls.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

CLOCKED = Path(__file__).with_name("clocked")
HOUR_S = 3_600
OFFSETS_S = (-40 * HOUR_S, -5 * HOUR_S, -1, 0, 2 * HOUR_S, 9 * HOUR_S, 400 * HOUR_S)
"""Offsets from the right time, in seconds, from which one is drawn."""


class Clocks:
    """A clock for each replica, which is right until it is set.

    Args:
        folder: for the files that hold the offsets.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def environment(self, name: str) -> Mapping[str, str]:
        """The environment that makes a replica's clock settable."""
        if not self._file(name).exists():
            self.set(name, 0)
        path = os.pathsep.join(filter(None, (str(CLOCKED), os.environ.get("PYTHONPATH"))))
        return {"PYTHONPATH": path, "DRIFTWATCH_TEST_CLOCK": str(self._file(name))}

    def set(self, name: str, offset_s: int) -> None:
        """Set a replica's clock, whether or not it is running."""
        fresh = self._file(name).with_suffix(".fresh")
        fresh.write_text(str(offset_s))
        fresh.replace(self._file(name))

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.clock"
