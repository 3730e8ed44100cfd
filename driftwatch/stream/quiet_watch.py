"""Finds streams from which nothing comes any more, in the partitions that are read here.

A stream is silent in a partition if its newest message was read (or the partition taken up) so long ago, and the
partition is read to its end now. That message was there when it was read, and nothing has come since: so the stream has
been silent for at least as long, however late it was read. A daemon that was away, or is behind, finds no silence.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from driftwatch.stream.log import Partition
from driftwatch.stream.sighting import Hush, Sighting

LOOK_EVERY_S = 1.0
"""How often the ends of partitions are asked for, while there may be a silence to tell of."""


@dataclass(frozen=True)
class QuietRule:
    """When a stream is silent for too long.

    Args:
        after_ms: how long it may be silent.
        severity: of the alert if it is for longer.
    """

    after_ms: int
    severity: str


QuietRules = Mapping[str, QuietRule]
"""By stream; there is no limit to the silence of those that are not in it."""

NO_RULES: QuietRules = MappingProxyType({})


@dataclass(frozen=True)
class _Known:
    """The newest sighting of a stream in a partition, when it was, and whether a silence was told since."""

    sighting: Sighting
    at_s: float
    told: bool = False


class QuietWatch:
    """Watches streams in the partitions that are read here.

    Args:
        rules: gives those that hold at present.
        clock: that never goes back, seconds.
        calendar: seconds since the epoch.
    """

    def __init__(
        self,
        rules: Callable[[], QuietRules] = lambda: NO_RULES,
        *,
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], float] = time.time,
    ) -> None:
        self._ask, self._rules = rules, NO_RULES
        self._clock = clock
        self._calendar = calendar
        self._known: dict[Partition, dict[str, _Known]] = {}
        self._looked = -math.inf

    def take_up(self, place: Partition) -> None:
        """A partition is read here from now on; what came from it before is not known."""
        self._known[place] = {}
        self._renew(self._clock())

    def drop(self, place: Partition) -> None:
        """A partition is read elsewhere."""
        self._known.pop(place, None)

    def heard(self, newest: Mapping[tuple[Partition, str], tuple[int, int]]) -> list[Sighting]:
        """Takes note of messages that were read, and gives what is to be told: that a stream is heard, or heard again.

        Args:
            newest: offset and event time of the newest message, by partition and stream.
        """
        news = []
        for (place, stream), (offset, time_ms) in newest.items():
            before = self._known.get(place, {}).get(stream)
            if before is None:
                continue
            sighting = Sighting(stream, *place, offset, time_ms)
            self._known[place][stream] = _Known(sighting, self._clock())
            if before.told or before.sighting.offset < 0:
                news.append(sighting)
        return news

    def due(self) -> list[Partition]:
        """Partitions whose end is to be looked at, since a stream may be silent there; told so every second at most."""
        now = self._clock()
        if now - self._looked < LOOK_EVERY_S:
            return []
        self._renew(now)
        found = [
            place for place, known in self._known.items() if any(self._silent(each, now) for each in known.values())
        ]
        if found:
            self._looked = now
        return found

    def silent(self, place: Partition, end: int, partitions: int) -> list[Sighting]:
        """Streams that are found silent in a partition that is read to its end; each is given once.

        Args:
            place: the partition.
            end: its end, asked for after its last message was read.
            partitions: of the topic.
        """
        now, at_ms = self._clock(), int(self._calendar() * 1000)
        found = []
        for stream, known in self._known[place].items():
            if self._silent(known, now):
                rule = self._rules[stream]
                hush = Hush(end, partitions, at_ms, rule.after_ms, rule.severity)
                found.append(replace(known.sighting, hush=hush))
                self._known[place][stream] = replace(known, told=True)
        return found

    def _renew(self, now: float) -> None:
        """Watches streams that are new from now on, and those no more that are none any more."""
        self._rules = self._ask()
        for place, known in self._known.items():
            self._known[place] = {
                stream: known.get(stream) or _Known(Sighting(stream, *place), now) for stream in self._rules
            }

    def _silent(self, known: _Known, now: float) -> bool:
        return not known.told and 1000 * (now - known.at_s) >= self._rules[known.sighting.stream].after_ms
