"""When a role has been idle for long enough to commit that it has passed offsets without messages.

Ends of transactions take offsets, as do aborted messages. What is committed lies before those that follow the last
message. If retention then removes them too, a restart would take them for messages that it has not read.
"""

from __future__ import annotations

import time
from collections.abc import Callable

IDLE_S = 60.0
"""Retention takes hours at least. A shorter time would double the transactions of slow streams."""


class Idle:
    """Tells, once each time, that a role is idle.

    Args:
        clock: monotonic, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._since, self._told = clock, clock(), False

    def interrupt(self) -> None:
        """The role has something to do."""
        self._since, self._told = self._clock(), False

    def begins(self) -> bool:
        """Whether the role has now been idle for `IDLE_S`; True once."""
        if self._told or self._clock() - self._since < IDLE_S:
            return False
        self._told = True
        return True
