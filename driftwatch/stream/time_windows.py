"""Windows by event time: which panes they hold, and when they are tested.

Event time is divided into ticks, ten to the shortest window. A pane spans at most a tick, and counts in the tick of
its newest sample. When the stream's clock passes the end of a tick by the allowed disorder, the windows that end with
the tick are tested, provided that it brought samples. Later samples are missing from those windows, but not from later
ones.
Windows may hold more samples than the null of the reference's bank covers. Each tick then counts with only its first
samples, up to a limit that gives every tick a fair share of the whole window.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from driftwatch.stats.between import NullGrid
from driftwatch.stats.null import WindowNull
from driftwatch.stream.alert import OffsetRange, WindowSpan
from driftwatch.stream.event_clock import EventClock
from driftwatch.stream.examples import ExampleRule, some
from driftwatch.stream.log import Partition, believed
from driftwatch.stream.pane_codec import decode_pane, encode_pane
from driftwatch.stream.panes import Pane, join_panes

NEVER = -(1 << 62)
MOST_ALPHA = 0.01
"""Upper limit of the p-value at which a window alarms, however many samples are new."""


@dataclass(frozen=True)
class TimeSize:
    """The size of a window by time.

    Args:
        name: as configured, for example ``5m``.
        length_ms: milliseconds, a multiple of the tick.
    """

    name: str
    length_ms: int


@dataclass(frozen=True)
class TimeRule:
    """How a stream is tested by time.

    Args:
        sizes: of windows, ascending.
        tick_ms: time between two tests, and the longest time that a pane spans.
        out_of_order_ms: how late samples may come after newer ones, milliseconds of event time.
        budget: samples between false alarms of the windows of one size.
    """

    sizes: tuple[TimeSize, ...]
    tick_ms: int
    out_of_order_ms: int
    budget: float

    @property
    def idle_ms(self) -> int:
        """How long a partition may bring nothing before the clock stops waiting for it, milliseconds."""
        return self.sizes[0].length_ms

    def alpha(self, fresh: int) -> float:
        """The p-value at which a window alarms if `fresh` samples came since the window before.

        By the union bound, the expected number of false alarms is at most the sum of the tests' levels. That sum is
        one in `budget` samples, however the windows overlap.
        """
        return min(MOST_ALPHA, fresh / self.budget)


@dataclass(frozen=True)
class DueWindow:
    """A window that is ready to be tested.

    Args:
        size: of the window.
        panes: that it holds, joined by tick and partition, in order of time.
        alpha: p-value at which it alarms.
        null: for windows with this many samples; None if there are too few.
    """

    size: TimeSize
    panes: tuple[Pane, ...]
    alpha: float
    null: WindowNull | None

    @property
    def span(self) -> WindowSpan:
        """Which samples it holds."""
        ranges: dict[Partition, tuple[int, int]] = {}
        for pane in self.panes:
            first, last = ranges.get(pane.topic_partition, (pane.first[0], pane.last[0]))
            ranges[pane.topic_partition] = min(first, pane.first[0]), max(last, pane.last[0])
        return WindowSpan(
            size=self.size.name,
            samples=sum(pane.n for pane in self.panes),
            start_ms=min(pane.start_ms for pane in self.panes),
            end_ms=max(pane.end_ms for pane in self.panes),
            offsets=tuple(OffsetRange(*partition, *ranges[partition]) for partition in sorted(ranges)),
            share=min(pane.share.part for pane in self.panes),
        )


@dataclass
class _Tick:
    """The panes of a tick that count; `first` is the number of its first pane, `encoded` caches `encode`."""

    first: int
    samples: int
    panes: dict[Partition, Pane]
    encoded: list[str] | None = None

    def encode(self) -> list[str]:
        """Its panes as text; cached, since ticks that are over no longer change."""
        if self.encoded is None:
            self.encoded = [base64.b64encode(encode_pane(pane)).decode() for pane in self.panes.values()]
        return self.encoded


class TimeWindows:
    """The windows by time of one stream.

    Args:
        rule: for these windows.
        grid: nulls for windows of any number of samples.
        examples: which samples an alert points to.
    """

    def __init__(self, rule: TimeRule, grid: NullGrid, examples: ExampleRule) -> None:
        self._rule, self._grid, self._examples = rule, grid, examples
        self._widths = {size.name: size.length_ms // rule.tick_ms for size in rule.sizes}
        self._ticks: dict[str, dict[int, _Tick]] = {size.name: {} for size in rule.sizes}
        self._clock = EventClock()
        self._tested = NEVER
        self._fresh: dict[int, int] = {}
        self._late = 0
        self.drifting: frozenset[str] = frozenset()

    def use_rule(self, rule: TimeRule, grid: NullGrid) -> None:
        """Switch to another rule with the same sizes."""
        self._rule, self._grid = rule, grid

    def replay(self, pane: Pane) -> bool:
        """Add a pane that was tested before; return whether it came late."""
        tick = self._end_ms(pane, pane.end_ms) // self._rule.tick_ms
        for name, width in self._widths.items():
            if tick > self._tested + 1 - width:
                self._add(self._ticks[name], tick, self._grid.most // width, pane)
        if tick > self._tested:
            self._fresh[tick] = self._fresh.get(tick, 0) + pane.n
        return tick <= self._tested

    def take(self, pane: Pane) -> tuple[list[DueWindow], int]:
        """Add the next pane of the log.

        Returns:
            The windows that are due with it, and how many of its samples came late.
        """
        rule = self._rule
        late = pane.n if self.replay(pane) else 0
        self._late += late
        newest_ms = self._end_ms(pane, max(pane.end_ms, pane.seen_ms or pane.end_ms))
        self._clock = self._clock.after(pane, newest_ms, rule.tick_ms)
        return list(self._due(self._clock.now_ms(rule.idle_ms) - rule.out_of_order_ms)), late

    def _due(self, now_ms: int) -> Iterator[DueWindow]:
        for tick in sorted(tick for tick in self._fresh if (tick + 1) * self._rule.tick_ms <= now_ms):
            fresh, self._late, self._tested = self._fresh.pop(tick) + self._late, 0, tick
            for size in self._rule.sizes:
                ticks = self._ticks[size.name]
                for old in [each for each in ticks if each <= tick - self._widths[size.name]]:
                    del ticks[old]
                panes = self._window(ticks, tick)
                samples = sum(pane.n for pane in panes)
                null = self._grid.at(samples) if samples >= self._grid.least else None
                self.tested(size, quiet=True)
                yield DueWindow(size, panes, self._rule.alpha(fresh), null)

    def _window(self, ticks: Mapping[int, _Tick], last: int) -> tuple[Pane, ...]:
        """The panes of the newest ticks up to `last`, no more than can be tested."""
        chosen, samples = list[_Tick](), 0
        for tick in sorted((tick for tick in ticks if tick <= last), reverse=True):
            samples += ticks[tick].samples
            if chosen and samples > self._grid.most:
                break
            chosen.append(ticks[tick])
        return tuple(chain.from_iterable(_by_place(tick.panes) for tick in reversed(chosen)))

    def _add(self, ticks: dict[int, _Tick], number: int, most: int, pane: Pane) -> None:
        tick = ticks.setdefault(number, _Tick(pane.number, 0, {}))
        if tick.samples and tick.samples + pane.n > most:
            return
        tick.samples += pane.n
        tick.encoded = None
        pieces = [tick.panes[pane.topic_partition], pane] if pane.topic_partition in tick.panes else [pane]
        joined = join_panes(pieces)
        tick.panes[pane.topic_partition] = replace(
            joined, candidates=some(joined.candidates, self._examples.count), grades=b"", unfinished=False
        )

    def _end_ms(self, pane: Pane, time_ms: int) -> int:
        """The event time, or the log's if it cannot be right: it must neither carry the clock away nor hold it."""
        if not pane.logged_ms:
            return time_ms
        return min(believed(time_ms, pane.logged_ms), pane.logged_ms + self._rule.out_of_order_ms)

    def tested(self, size: TimeSize, *, quiet: bool) -> None:
        """Record whether the newest window of a size is quiet; `drifting` holds the names of sizes that are not."""
        self.drifting = self.drifting - {size.name} if quiet else self.drifting | {size.name}

    @property
    def oldest(self) -> int | None:
        """Number of the first pane that later windows need; None if there is none."""
        return min((tick.first for ticks in self._ticks.values() for tick in ticks.values()), default=None)

    def state(self) -> dict[str, Any]:
        """The part of the state that reading the panes log again does not restore, JSON-able."""
        return {
            "clock": self._clock.to_json(),
            "tested_ms": None if self._tested == NEVER else (self._tested + 1) * self._rule.tick_ms,
            "late": self._late,
            "drifting": sorted(self.drifting),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned; sizes that are no longer configured no longer drift."""
        self._clock = EventClock.from_json(state["clock"])
        tested_ms, self._late = state["tested_ms"], state["late"]
        self._tested = NEVER if tested_ms is None else tested_ms // self._rule.tick_ms - 1
        self.drifting = frozenset(state["drifting"]) & self._ticks.keys()

    def panes(self) -> dict[str, Any]:
        """The panes held, JSON-able, for use without a log."""
        return {
            "tick_ms": self._rule.tick_ms,
            "fresh": list(self._fresh.items()),
            "ticks": {
                name: [[number, tick.samples, tick.encode()] for number, tick in ticks.items()]
                for name, ticks in self._ticks.items()
            },
        }

    def restore_panes(self, stored: Mapping[str, Any]) -> None:
        """Replace the panes held with what `panes` returned, unless the length of a tick has changed."""
        if stored.get("tick_ms", self._rule.tick_ms) != self._rule.tick_ms:
            return
        self._fresh = dict(stored["fresh"])
        for name, ticks in self._ticks.items():
            ticks.clear()
            for number, samples, encoded in stored["ticks"].get(name, ()):
                panes = [decode_pane(base64.b64decode(pane)) for pane in encoded]
                ticks[number] = _Tick(0, samples, {pane.topic_partition: pane for pane in panes})


def _by_place(panes: Mapping[Partition, Pane]) -> Sequence[Pane]:
    return [panes[partition] for partition in sorted(panes)]
