"""Load shedding: how much of a partition is processed while more comes than can be scored, so that alerts are not late.

If a partition lags too far, half of its messages are skipped, then half of the rest, and so on; when it has caught up,
the share doubles again, step by step. The clock decides when, and its decisions are recorded: the offset from which a
share applies goes with the position into the transaction, and with each pane into the log. Which messages a share holds
is a function of their offsets. So a restart continues as before, and the input and the panes alone determine which
samples a pane holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from driftwatch.stream.log import UNTIMED_MS, Partition
from driftwatch.stream.sampling import Share

LEAST = 2.0**-10
CAUGHT_UP = 0.25
"""Part of the allowed lag below which the share grows again. It must be well below 1, or the share would oscillate."""

DOWN_PACE = 0.125
"""Part of the allowed lag: how long a smaller share gets to take effect before it is halved again."""

UP_PACE = 0.5
"""Likewise for a larger share, whose effect shows more slowly."""


class Shedder:
    """Decides on the shares of partitions.

    Args:
        max_lag_s: how far behind a partition may be: seconds between a message's time and its processing.
        clock: monotonic, seconds.
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

    def share(self, partition: Partition, offset: int, time_ms: int, present: Share) -> Share:
        """The share of a partition from its next message on.

        Args:
            partition: the partition.
            offset: of that message.
            time_ms: its time, milliseconds since the epoch.
            present: the share so far.
        """
        lag_s = self._calendar() - time_ms / 1000
        since_s = self._clock() - self._changed.get(partition, -float("inf"))
        part = present.part
        if 1000 * lag_s > UNTIMED_MS:
            return present
        if lag_s > self._max_lag_s and since_s >= DOWN_PACE * self._max_lag_s:
            part = max(LEAST, part / 2)
        elif lag_s < CAUGHT_UP * self._max_lag_s and since_s >= UP_PACE * self._max_lag_s:
            part = min(1.0, 2 * part)
        if part == present.part:
            return present
        self._changed[partition] = self._clock()
        return Share(part, offset)
