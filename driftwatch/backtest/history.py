"""The results of a backtest: each alarm from start to end, each window, and figures of each period."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.backtest.periods import MONTH, MOST_DAYS, By, period_name
from driftwatch.data.flaws import Flaws, add_flaws
from driftwatch.data.refused_rows import Refusals
from driftwatch.reference.reference import Reference
from driftwatch.stats.summary import Array
from driftwatch.stream.alert import Alert, WindowSpan
from driftwatch.stream.findings import moved
from driftwatch.stream.panes import Pane
from driftwatch.stream.standards import Standard
from driftwatch.stream.test_stage import Tests

PARTS = 10
"""Number of parts that data without times is divided into, instead of days."""

MOST_MOVED = 4
"""The most columns that are named for a period."""


@dataclass(frozen=True)
class Alarm:
    """An alarm from its start to its end.

    Args:
        since_row: rows of the data up to the start, including the window that raised it.
        until_row: rows up to the end; None while it is on.
        since_ms: event time of the start.
        until_ms: event time of the end; None while it is on.
        severity: the highest.
        window: size of the window that raised it.
        effect: of that window, nats per sample.
        largest: effect among all windows that drifted while it was on.
        p_value: of the window that raised it.
        explanation: what moved in that window.
        alert: id of the alert that a daemon would have sent.
    """

    since_row: int
    until_row: int | None
    since_ms: int
    until_ms: int | None
    severity: str
    window: int | str
    effect: float
    largest: float
    p_value: float
    explanation: str
    alert: str


@dataclass(frozen=True)
class SizeFigures:
    """Windows of one size in a period: how many were tested and drifted, and their effects, nats per sample."""

    tested: int
    drifted: int
    median: float
    upper: float
    largest: float


@dataclass(frozen=True)
class Period:
    """Figures of one period of the stream.

    Args:
        name: of the period.
        samples: in it.
        alarms: that started in it.
        firing: share of its tests with an alarm on.
        windows: by size; `SizeFigures.upper` is the effect that one window in twenty exceeds.
        moved: what differs from the reference in the period as a whole; for samples without columns, in its window
            that was off most.
    """

    name: str
    samples: int
    alarms: int
    firing: float
    windows: dict[int | str, SizeFigures]
    moved: str


@dataclass
class _Sums:
    """Sums over the panes of a period, and the window of the longest size that was off most."""

    samples: int = 0
    summary: Array | float = 0.0
    flaws: Flaws = field(default_factory=dict)
    worst: tuple[float, str] = (-np.inf, "nothing stands out")

    def add(self, other: _Sums) -> None:
        self.samples += other.samples
        self.summary = self.summary + other.summary
        self.flaws = add_flaws([self.flaws, other.flaws])
        self.worst = max(self.worst, other.worst)


class History:
    """Records the results of the stages.

    Args:
        standard: reference, procedure and policy of the stream.
        batch: rows per message.
        refusals: rows that were skipped.
        rows: in the data.
        timed: whether event times are known.
        by: kind of period, if they are.
    """

    def __init__(
        self, standard: Standard, batch: int, refusals: Refusals, *, rows: int, timed: bool, by: By = "auto"
    ) -> None:
        self.standard, self.timed = standard, timed
        self.sizes: list[int | str] = [*sorted(standard.procedure.nulls)]
        self.sizes += [size.name for size in standard.by_time.sizes] if standard.by_time else []
        self.samples = 0
        self.first_ms = self.last_ms = 0
        self.rows = rows
        self._batch, self._refusals, self._by = batch, refusals, by
        self._sums: dict[str, _Sums] = {}
        self._alarms: list[Alarm] = []
        self._size, self._row, self._end_ms = array("b"), array("q"), array("q")
        self._effect, self._p_value, self._drift = array("d"), array("d"), array("b")

    @property
    def reference(self) -> Reference:
        """The reference that the stream is compared with."""
        return self.standard.reference

    @property
    def refused(self) -> int:
        """The number of rows that could not be read."""
        return len(self._refusals.rows)

    @property
    def false_alarms(self) -> tuple[float, float]:
        """Expected number of false alarms in so many samples without drift, low and high (95 %)."""
        low, high = self.standard.procedure.control.interval
        return self.samples / high, self.samples / low

    def take(self, panes: Sequence[Pane], tests: Tests) -> None:
        """Record panes and the results of their tests."""
        for pane in panes:
            self.first_ms = pane.start_ms if not self.samples else min(self.first_ms, pane.start_ms)
            self.last_ms = max(self.last_ms, pane.end_ms)
            self.samples += pane.n
            each = _Sums(pane.n, pane.summary, pane.flaws)
            self._sums.setdefault(self._name(pane.end_ms, self._row_of(pane.last[0])), _Sums()).add(each)
        longest = max(self.standard.procedure.nulls)
        for window in tests.windows:
            row = self._end_row(window.span)
            self._size.append(self.sizes.index(window.size))
            self._row.append(row)
            self._end_ms.append(window.end_ms)
            self._effect.append(window.effect_nats)
            self._p_value.append(window.p_value)
            self._drift.append(window.drift)
            if window.size == longest:
                off = _Sums(worst=(window.effect_nats, window.explanation))
                self._sums.setdefault(self._name(window.end_ms, row), _Sums()).add(off)
        for alert in tests.alerts:
            if isinstance(alert, Alert):
                self._take_alert(alert)

    def _take_alert(self, alert: Alert) -> None:
        row = self._end_row(alert.window)
        if alert.state == "resolved":
            self._alarms[-1] = replace(self._alarms[-1], until_row=row, until_ms=alert.end_ms)
        elif self._alarms and self._alarms[-1].until_row is None:
            self._alarms[-1] = replace(self._alarms[-1], severity=alert.severity)
        else:
            self._alarms.append(
                Alarm(
                    since_row=row,
                    until_row=None,
                    since_ms=alert.began_ms,
                    until_ms=None,
                    severity=alert.severity,
                    window=alert.window.size,
                    effect=alert.effect.nats,
                    largest=alert.effect.nats,
                    p_value=alert.p_value,
                    explanation=alert.explanation,
                    alert=alert.id,
                )
            )

    def _end_row(self, span: WindowSpan) -> int:
        return self._row_of(max(each.last for each in span.offsets))

    def _row_of(self, offset: int) -> int:
        """The number of rows of the data up to the end of a message."""
        last = np.array([(offset + 1) * self._batch - 1])
        return min(int(self._refusals.index_of(last)[0]) + 1, self.rows)

    def _name(self, time_ms: int, row: int) -> str:
        if not self.timed:
            part = (row - 1) * PARTS // self.rows
            first, last = (-(-each * self.rows // PARTS) for each in (part, part + 1))
            return f"rows {first + 1:,} to {last:,}"
        return period_name(time_ms, self._by)

    @property
    def windows(self) -> dict[str, NDArray[Any]]:
        """All windows, by column; ``end`` counts the rows of the data up to a window's end, ``end_ms`` is its time."""
        return {
            "window": np.array([str(each) for each in self.sizes])[np.array(self._size, np.intp)],
            "end": np.array(self._row),
            "end_ms": np.array(self._end_ms),
            "effect_nats": np.array(self._effect),
            "p_value": np.array(self._p_value),
            "drift": np.array(self._drift, np.bool_),
        }

    @property
    def alarms(self) -> list[Alarm]:
        """All alarms, in order."""
        rows, effects, drift = np.array(self._row), np.array(self._effect), np.array(self._drift, np.bool_)
        complete = []
        for alarm in self._alarms:
            until = self.rows if alarm.until_row is None else alarm.until_row
            meanwhile = effects[drift & (rows >= alarm.since_row) & (rows <= until)]
            complete.append(replace(alarm, largest=max(alarm.effect, *meanwhile.tolist())))
        return complete

    @property
    def firing(self) -> NDArray[np.bool_]:
        """For each window, whether an alarm was on after it was tested."""
        rows = np.array(self._row)
        since = np.array([each.since_row for each in self._alarms])
        ends = [self.rows + 1 if each.until_row is None else each.until_row for each in self._alarms]
        begun = np.searchsorted(since, rows, side="right")
        over = np.searchsorted(np.array(ends), rows, side="right")
        return np.asarray(begun > over)

    def periods(self) -> list[Period]:
        """The figures of all periods, in order; days are merged into months if there are many."""
        cut = MONTH if self.timed and self._by == "auto" and len(self._sums) > MOST_DAYS else None
        sums: dict[str, _Sums] = {}
        for name, each in self._sums.items():
            sums.setdefault(name[:cut], _Sums()).add(each)
        named = zip(self._end_ms, self._row, strict=True)
        of_windows = np.array([self._name(*each)[:cut] for each in named], dtype=np.str_)
        begun = [self._name(each.since_ms, each.since_row)[:cut] for each in self._alarms]
        firing = self.firing
        order = sorted(sums) if self.timed else list(sums)
        return [
            Period(
                name=name,
                samples=sums[name].samples,
                alarms=begun.count(name),
                firing=float(firing[of_windows == name].mean()) if (of_windows == name).any() else 0.0,
                windows=dict(self._figures(of_windows == name)),
                moved=self._moved(sums[name]),
            )
            for name in order
            if sums[name].samples
        ]

    def _figures(self, chosen: NDArray[np.bool_]) -> Iterator[tuple[int | str, SizeFigures]]:
        size, effects = np.array(self._size), np.array(self._effect)
        drift = np.array(self._drift, np.bool_)
        for number, name in enumerate(self.sizes):
            among = chosen & (size == number)
            if among.any():
                median, upper, largest = np.quantile(effects[among], (0.5, 0.95, 1.0)).tolist()
                yield name, SizeFigures(int(among.sum()), int(drift[among].sum()), median, upper, largest)

    def _moved(self, sums: _Sums) -> str:
        (phrases,) = moved(np.asarray(sums.summary)[None], self.reference, [sums.flaws], most=MOST_MOVED)
        if phrases or self.reference.row_features:
            return "; ".join(phrases) or "nothing stands out"
        return sums.worst[1]
