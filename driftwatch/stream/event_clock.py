"""The event time that a stream has reached, over all partitions of its input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from driftwatch.stream.panes import Pane


@dataclass(frozen=True)
class _Partition:
    """The newest event time read from a partition, and the active time of the log at which it was read."""

    newest_ms: int
    active_ms: int


@dataclass(frozen=True)
class EventClock:
    """How far a stream has come: a function of its panes in log order, and of their log times.

    An idle partition must not hold the others back. Whether it is idle is measured by the time that passes in the log
    while panes of the stream come. A period without panes, as while a daemon is down, counts as a moment, so that
    afterwards every partition has time to come back.

    Args:
        partitions: of the input, by topic and number.
        active_ms: time that has passed in the log while panes came.
        logged_ms: log time of the newest pane.
    """

    partitions: Mapping[str, _Partition] = field(default_factory=dict)
    active_ms: int = 0
    logged_ms: int = 0

    def after(self, pane: Pane, newest_ms: int, moment_ms: int) -> EventClock:
        """The clock after a pane.

        Args:
            pane: the next of the log.
            newest_ms: event time that its partition has reached.
            moment_ms: the most that the time between two panes counts.
        """
        passed = min(max(0, pane.logged_ms - self.logged_ms), moment_ms) if self.logged_ms else 0
        active_ms, place = self.active_ms + passed, f"{pane.topic}/{pane.partition}"
        before = self.partitions.get(place)
        newest = _Partition(newest_ms if before is None else max(newest_ms, before.newest_ms), active_ms)
        return EventClock({**self.partitions, place: newest}, active_ms, max(self.logged_ms, pane.logged_ms))

    def now_ms(self, idle_ms: int) -> int:
        """The event time that all partitions have reached, except those idle for longer than `idle_ms`."""
        return min(each.newest_ms for each in self.partitions.values() if self.active_ms - each.active_ms <= idle_ms)

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "partitions": {place: [each.newest_ms, each.active_ms] for place, each in self.partitions.items()},
            "active_ms": self.active_ms,
            "logged_ms": self.logged_ms,
        }

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> EventClock:
        """The inverse of `to_json`."""
        partitions = {place: _Partition(*each) for place, each in fields["partitions"].items()}
        return EventClock(partitions, fields["active_ms"], fields["logged_ms"])
