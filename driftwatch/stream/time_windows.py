"""Windows by event time: which panes they hold, and when they are tested.

Event time is cut into ticks, of which the shortest window has ten. Panes span no more than a tick, and count where
they end. When the stream's clock passes a tick, less the disorder that is allowed for, the windows that end with it are
tested, if the tick brought samples. What comes later than that is missing there; windows to come have it.

Windows may hold more samples than the reference's bank can tell anything of. Then each tick counts with its first so
many, which is a fair share of the whole window.
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
from driftwatch.stream.log import Partition
from driftwatch.stream.pane_codec import decode_pane, encode_pane
from driftwatch.stream.panes import Pane, join_panes

NEVER = -(1 << 62)
MOST_ALPHA = 0.01
"""However many samples are new, no window is an alarm by a larger p-value."""


@dataclass(frozen=True)
class TimeSize:
    """A window by time.

    Args:
        name: as it is configured, for example ``5m``.
        length_ms: milliseconds, some ticks.
    """

    name: str
    length_ms: int


@dataclass(frozen=True)
class TimeRule:
    """How a stream is tested by time.

    Args:
        sizes: of windows, ascending.
        tick_ms: the time between two tests, and the most that a pane spans.
        out_of_order_ms: by how much samples may come after younger ones, milliseconds of event time.
        budget: samples between false alarms of the windows of one size.
    """

    sizes: tuple[TimeSize, ...]
    tick_ms: int
    out_of_order_ms: int
    budget: float

    @property
    def idle_ms(self) -> int:
        """How long a partition from which nothing comes is waited for."""
        return self.sizes[0].length_ms

    def alpha(self, fresh: int) -> float:
        """The p-value at which a window is an alarm, `fresh` samples after the one before.

        By the union bound: the expected false alarms among tests are at most the sum of their levels, which comes to
        one in `budget` samples however the windows overlap.
        """
        return min(MOST_ALPHA, fresh / self.budget)


@dataclass(frozen=True)
class DueWindow:
    """A window that is to be tested.

    Args:
        size: of it.
        panes: that it holds, a tick's of a partition as one, by time.
        alpha: p-value at which it is an alarm.
        null: of windows of as many samples; None if there are too few.
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
            first, last = ranges.get(pane.place, (pane.first[0], pane.last[0]))
            ranges[pane.place] = min(first, pane.first[0]), max(last, pane.last[0])
        return WindowSpan(
            size=self.size.name,
            samples=sum(pane.n for pane in self.panes),
            start_ms=min(pane.start_ms for pane in self.panes),
            end_ms=max(pane.end_ms for pane in self.panes),
            offsets=tuple(OffsetRange(*place, *ranges[place]) for place in sorted(ranges)),
            share=min(pane.share.part for pane in self.panes),
        )


@dataclass
class _Tick:
    """What a tick counts with; `first` is the number of its first pane, `encoded` what `encode` gave."""

    first: int
    samples: int
    panes: dict[Partition, Pane]
    encoded: list[str] | None = None

    def encode(self) -> list[str]:
        """Its panes as text; ticks that are over stay as they are."""
        if self.encoded is None:
            self.encoded = [base64.b64encode(encode_pane(pane)).decode() for pane in self.panes.values()]
        return self.encoded


class TimeWindows:
    """The windows by time of one stream.

    Args:
        rule: of them.
        grid: nulls of windows of any number of samples.
        examples: which samples an alert points at.
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

    def hold_to(self, rule: TimeRule, grid: NullGrid) -> None:
        """From now on to another rule, of the same sizes."""
        self._rule, self._grid = rule, grid

    def replay(self, pane: Pane) -> bool:
        """Takes a pane of the log that was taken before; says whether it came late."""
        tick = self._end_ms(pane, pane.end_ms) // self._rule.tick_ms
        for name, width in self._widths.items():
            if tick > self._tested + 1 - width:
                self._add(self._ticks[name], tick, self._grid.most // width, pane)
        if tick > self._tested:
            self._fresh[tick] = self._fresh.get(tick, 0) + pane.n
        return tick <= self._tested

    def take(self, pane: Pane) -> tuple[list[DueWindow], int]:
        """Takes the next pane of the log.

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
        """The panes of the newest ticks up to one, no more than can be tested."""
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
        pieces = [tick.panes[pane.place], pane] if pane.place in tick.panes else [pane]
        joined = join_panes(pieces)
        tick.panes[pane.place] = replace(
            joined, candidates=some(joined.candidates, self._examples.count), grades=b"", unfinished=False
        )

    def _end_ms(self, pane: Pane, time_ms: int) -> int:
        """An event time; those ahead of the log's own come from a wrong clock, and must not carry the stream's away."""
        return min(time_ms, pane.logged_ms + self._rule.out_of_order_ms) if pane.logged_ms else time_ms

    def tested(self, size: TimeSize, *, quiet: bool) -> None:
        """Notes whether the newest window of a size is quiet: `drifting` are the names of those that are not."""
        self.drifting = self.drifting - {size.name} if quiet else self.drifting | {size.name}

    @property
    def oldest(self) -> int | None:
        """The number of the first pane that windows to come need; None if there is none."""
        return min((tick.first for ticks in self._ticks.values() for tick in ticks.values()), default=None)

    def state(self) -> dict[str, Any]:
        """JSON-able: what the panes log does not tell again from where windows begin."""
        return {
            "clock": self._clock.to_json(),
            "tested_ms": None if self._tested == NEVER else (self._tested + 1) * self._rule.tick_ms,
            "late": self._late,
            "drifting": sorted(self.drifting),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state` gave; windows that there are no more drift no longer."""
        self._clock = EventClock.from_json(state["clock"])
        tested_ms, self._late = state["tested_ms"], state["late"]
        self._tested = NEVER if tested_ms is None else tested_ms // self._rule.tick_ms - 1
        self.drifting = frozenset(state["drifting"]) & self._ticks.keys()

    def panes(self) -> dict[str, Any]:
        """JSON-able: what it holds of panes, for where no log keeps them."""
        return {
            "tick_ms": self._rule.tick_ms,
            "fresh": list(self._fresh.items()),
            "ticks": {
                name: [[number, tick.samples, tick.encode()] for number, tick in ticks.items()]
                for name, ticks in self._ticks.items()
            },
        }

    def restore_panes(self, told: Mapping[str, Any]) -> None:
        """Takes up what `panes` gave, instead of what is here; nothing that was cut into other ticks."""
        if told.get("tick_ms", self._rule.tick_ms) != self._rule.tick_ms:
            return
        self._fresh = dict(told["fresh"])
        for name, ticks in self._ticks.items():
            ticks.clear()
            for number, samples, encoded in told["ticks"].get(name, ()):
                panes = [decode_pane(base64.b64decode(pane)) for pane in encoded]
                ticks[number] = _Tick(0, samples, {pane.place: pane for pane in panes})


def _by_place(panes: Mapping[Partition, Pane]) -> Sequence[Pane]:
    return [panes[place] for place in sorted(panes)]
