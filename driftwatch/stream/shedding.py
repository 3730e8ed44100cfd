"""How much of a partition is looked at while more comes than can be scored, so that drift is not told hours late.

Of a partition that is too far behind, half of the messages are passed over unseen, then half of what is left, and so
on; when it has caught up, twice as many are looked at again, and so on. The clock decides when, and what it decides is
written down: the offset from which on a share is in force goes with the position into the transaction, and with each
pane into the log. Which messages a share takes in is a function of their offsets. So a restart goes on as before, and
which samples a pane holds can be told from the input and the panes alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from driftwatch.stream.log import Partition
from driftwatch.stream.sampling import Share

LEAST = 2.0**-10
CAUGHT_UP = 0.25
"""Of the lag that is allowed: below this more is looked at again. Well below it, or the two would take turns."""

DOWN_PACE = 0.125
"""Of the lag that is allowed: how long a smaller share is given to show, before it is halved again."""

UP_PACE = 0.5
"""Likewise for a larger one, which makes itself felt less quickly."""


class Shedder:
    """Decides on the shares of partitions.

    Args:
        max_lag_s: how far behind a partition may be, in seconds between a message's time and its being looked at.
        clock: that never goes back, seconds.
        calendar: seconds since the epoch.
    """

    def __init__(
        self,
        max_lag_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], float] = time.time,
    ) -> None:
        self._max_lag_s = max_lag_s
        self._clock = clock
        self._calendar = calendar
        self._changed: dict[Partition, float] = {}

    def share(self, place: Partition, offset: int, time_ms: int, present: Share) -> Share:
        """The share of a partition from its next message on.

        Args:
            place: the partition.
            offset: of that message.
            time_ms: its time, milliseconds since the epoch.
            present: the share that has been in force until now.
        """
        lag_s = self._calendar() - time_ms / 1000
        since_s = self._clock() - self._changed.get(place, -float("inf"))
        part = present.part
        if lag_s > self._max_lag_s and since_s >= DOWN_PACE * self._max_lag_s:
            part = max(LEAST, part / 2)
        elif lag_s < CAUGHT_UP * self._max_lag_s and since_s >= UP_PACE * self._max_lag_s:
            part = min(1.0, 2 * part)
        if part == present.part:
            return present
        self._changed[place] = self._clock()
        return Share(part, offset)
