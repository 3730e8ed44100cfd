"""Detects silent streams in the partitions that are read here.

A stream is silent in a partition if its newest message was read (or the partition taken over) long enough ago, and the
partition is now read to its end. That message existed when it was read, and nothing has come since: the stream has been
silent for at least that long, however late the message was read. A daemon that was down, or lags, detects no silence.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from driftwatch.stream.log import Partition
from driftwatch.stream.sighting import Hush, Sighting

CHECK_EVERY_S = 1.0
"""How often the ends of partitions are checked while a stream may be silent."""


@dataclass(frozen=True)
class QuietRule:
    """When a stream has been silent for too long.

    Args:
        after_ms: how long it may be silent.
        severity: of the alert on a longer silence.
    """

    after_ms: int
    severity: str


QuietRules = Mapping[str, QuietRule]
"""Rules by stream; streams without one may be silent for ever."""

NO_RULES: QuietRules = MappingProxyType({})


@dataclass(frozen=True)
class _Known:
    """The newest sighting of a stream in a partition, its clock time, and whether a silence was reported since."""

    sighting: Sighting
    at_s: float
    reported: bool = False


class QuietWatch:
    """Watches streams in the partitions that are read here.

    Args:
        rules: returns the rules in force.
        clock: monotonic, seconds.
        calendar: seconds since the epoch.
    """

    def __init__(
        self,
        rules: Callable[[], QuietRules] = lambda: NO_RULES,
        *,
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], float] = time.time,
    ) -> None:
        self._current_rules, self._rules = rules, NO_RULES
        self._clock = clock
        self._calendar = calendar
        self._known: dict[Partition, dict[str, _Known]] = {}
        self._checked = -math.inf

    def take_up(self, partition: Partition) -> None:
        """Start watching a partition; nothing is known of its earlier messages."""
        self._known[partition] = {}
        self._renew(self._clock())

    def drop(self, partition: Partition) -> None:
        """Stop watching a partition."""
        self._known.pop(partition, None)

    def note(self, newest: Mapping[tuple[Partition, str], tuple[int, int]]) -> list[Sighting]:
        """Record messages that were read; return sightings of streams that are new here, or no longer silent.

        Args:
            newest: offset and event time of the newest message, by partition and stream.
        """
        sightings = []
        for (partition, stream), (offset, time_ms) in newest.items():
            before = self._known.get(partition, {}).get(stream)
            if before is None:
                continue
            sighting = Sighting(stream, *partition, offset, time_ms)
            self._known[partition][stream] = _Known(sighting, self._clock())
            if before.reported or before.sighting.offset < 0:
                sightings.append(sighting)
        return sightings

    def due(self) -> list[Partition]:
        """Partitions whose end must be checked because a stream may be silent there; non-empty at most every second."""
        now = self._clock()
        if now - self._checked < CHECK_EVERY_S:
            return []
        self._renew(now)
        found = [
            partition
            for partition, known in self._known.items()
            if any(self._silent(each, now) for each in known.values())
        ]
        if found:
            self._checked = now
        return found

    def silent(self, partition: Partition, end: int, partitions: int) -> list[Sighting]:
        """Streams found silent in a partition that is read to its end; each silence is returned once.

        Args:
            partition: the partition.
            end: its end, queried after its last message was read.
            partitions: number of partitions of the topic.
        """
        now, at_ms = self._clock(), int(self._calendar() * 1000)
        found = []
        for stream, known in self._known[partition].items():
            if self._silent(known, now):
                rule = self._rules[stream]
                hush = Hush(end, partitions, at_ms, rule.after_ms, rule.severity)
                found.append(replace(known.sighting, hush=hush))
                self._known[partition][stream] = replace(known, reported=True)
        return found

    def _renew(self, now: float) -> None:
        """Start watching streams that are new, and stop watching those that are no longer configured."""
        self._rules = self._current_rules()
        for partition, known in self._known.items():
            self._known[partition] = {
                stream: known.get(stream) or _Known(Sighting(stream, *partition), now) for stream in self._rules
            }

    def _silent(self, known: _Known, now: float) -> bool:
        return not known.reported and 1000 * (now - known.at_s) >= self._rules[known.sighting.stream].after_ms
