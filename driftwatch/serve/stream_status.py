"""What the status page knows of one stream."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal

from driftwatch.config.durations import duration_ms
from driftwatch.serve.comparison import Comparison
from driftwatch.serve.memory import Rate, Ring, Spans, finite
from driftwatch.stats.decomposition import PARTS
from driftwatch.stream.alert import Alert
from driftwatch.stream.events import (
    BetsMade,
    Calibrated,
    ReferenceInUse,
    SampleFraction,
    SamplesScored,
    StreamPaced,
    StreamQuiet,
    StreamState,
    WindowTested,
)
from driftwatch.stream.explain import CHANGED
from driftwatch.stream.pace import pace_remarks
from driftwatch.stream.results import WindowResult

HISTORY = 600
DAY_SPAN_MS, DAY_SPANS = 300_000, 288
RATE_SPAN_S, RATE_SPANS = 5.0, 121
RATE_OVER = 12
"""Spans that the present rate is averaged over: a minute."""

PERIODS = 100

StreamEvent = (
    ReferenceInUse
    | SamplesScored
    | WindowTested
    | StreamState
    | StreamQuiet
    | StreamPaced
    | SampleFraction
    | BetsMade
    | Calibrated
)


class StreamStatus:
    """Keeps what the page shows of one stream, in bounded memory: about 100 KB.

    Args:
        name: of the stream.
        sizes: of its windows.
        clock: monotonic, seconds.
    """

    def __init__(self, name: str, sizes: Sequence[int | str] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._sizes = sizes
        self._quiet_since_ms: int | None = None
        self._pace: float | None = None
        self._shed: float | None = None
        self._samples = 0
        self._last_sample_ms: int | None = None
        self._rate = Rate(RATE_SPAN_S, RATE_SPANS, clock)
        self._reference: ReferenceInUse | None = None
        self._scores: Comparison | None = None
        self._state: StreamState | None = None
        self._elsewhere = False
        self._budget: Calibrated | None = None
        self._bets: BetsMade | None = None
        self._newest: dict[int | str, WindowResult] = {}
        self._windows: dict[int | str, Ring] = {}
        self._days: dict[int | str, Spans] = {}
        self._periods: deque[tuple[int, int]] = deque(maxlen=PERIODS)

    @property
    def firing(self) -> bool:
        """Whether its alarm is known to be active."""
        return self._state is not None and self._state.firing

    def take(self, event: StreamEvent) -> None:
        """Update from an event of this stream."""
        match event:
            case ReferenceInUse():
                self._reference = event
                self._scores = Comparison(event.scores) if len(event.scores) else None
            case SamplesScored():
                self._samples += event.samples
                self._last_sample_ms = event.last_timestamp_ms
                self._rate.add(event.samples)
                if self._scores is not None:
                    self._scores.add(event.scores)
            case WindowTested():
                self._test(event.result)
            case StreamState():
                self._state, self._elsewhere = event, False
            case StreamQuiet():
                self._quiet_since_ms = event.since_ms
            case StreamPaced():
                self._pace = event.samples_per_second
            case SampleFraction():
                self._shed = event.fraction if event.shedding else None
            case BetsMade():
                self._bets = event
            case Calibrated():
                self._budget = event

    def alert(self, alert: Alert) -> None:
        """Record an alert, from now or before this daemon started; the stream's state comes as another event."""
        if alert.state == "resolved" and (alert.began_ms, alert.window.end_ms) not in self._periods:
            self._periods.append((alert.began_ms, alert.window.end_ms))

    def hand_over(self) -> None:
        """Forget the tests of a stream that another daemon now tests and reports."""
        self._quiet_since_ms, self._pace = None, None
        if self._state is not None:
            self._state, self._bets, self._elsewhere = None, None, True
            self._newest.clear()
            self._windows.clear()
            self._days.clear()

    def overview(self) -> dict[str, Any]:
        """What a list of streams shows of each, JSON-able."""
        state, reference = self._state, self._reference
        return {
            "name": self.name,
            "state": self._state_name(),
            "firing": None if state is None else state.firing,
            "severity": state.severity if state else None,
            "since_ms": state.since_ms if state else None,
            "quiet_since_ms": self._quiet_since_ms,
            "remarks": self._remarks(),
            "threshold": state.threshold if state else None,
            "samples": self._samples,
            "samples_per_second": self._rate.per_second(RATE_OVER),
            "last_sample_ms": self._newest_ms(),
            "reference": reference
            and {"bundle": reference.bundle, "version": reference.version, "since_ms": reference.since_ms},
            "windows": {str(size): self._windows[size].last() for size in self._seen_sizes()},
        }

    def detail(self) -> dict[str, Any]:
        """What the page shows of the selected stream, JSON-able."""
        budget = self._budget
        return {
            "stream": self.name,
            "windows": {str(size): self._windows[size].columns() for size in self._seen_sizes()},
            "day": {str(size): self._days[size].columns() for size in self._seen_sizes()},
            "day_span_ms": DAY_SPAN_MS,
            "periods": self._periods_json(),
            "moved": self._moved(),
            "scores": self._scores and self._scores.to_json(),
            "traffic": {"span_seconds": RATE_SPAN_S, "samples": self._rate.counts()},
            "bets": self._bets and {"log_wealth": finite(self._bets.log_wealth), "limit": finite(self._bets.limit)},
            "budget": budget
            and {
                "samples": finite(budget.budget),
                "interval": [finite(bound) for bound in budget.interval],
                "satisfiable": budget.satisfiable,
            },
        }

    def _remarks(self) -> list[str]:
        """Remarks on the stream, whatever its state."""
        remarks = []
        if self._shed:
            remarks.append(f"samples come faster than they can be scored: a fraction of {self._shed:.2g} is watched")
        if self.firing and self._is_settling():
            remarks.append("nothing drifts at present; the alarm ends once all windows look like the reference again")
        if self._pace is None:
            return remarks
        counts = [size for size in self._sizes if isinstance(size, int)]
        return remarks + list(pace_remarks(self._pace, counts, self._budget.budget if self._budget else None))

    def _is_settling(self) -> bool:
        """Whether neither the newest windows nor single samples raise an alarm at present."""
        by_samples = self._bets is not None and self._bets.log_wealth >= self._bets.limit
        return bool(self._newest) and not by_samples and not any(window.drift for window in self._newest.values())

    def _state_name(self) -> Literal["drift", "quiet", "ok", "elsewhere", "waiting"]:
        if self.firing:
            return "drift"
        if self._quiet_since_ms is not None:
            return "quiet"
        if self._state is not None:
            return "ok"
        return "elsewhere" if self._elsewhere else "waiting"

    def _newest_ms(self) -> int | None:
        """Event time of the newest sample scored here, or else of the newest sample tested here."""
        tested = max((window.end_ms for window in self._newest.values()), default=None)
        return tested if self._last_sample_ms is None else self._last_sample_ms

    def _test(self, result: WindowResult) -> None:
        size, p_value = result.size, result.p_value
        if size not in self._windows:
            self._windows[size] = Ring(("end_ms", "p_value", "effect_nats", "alarm"), HISTORY)
            self._days[size] = Spans(DAY_SPAN_MS, DAY_SPANS)
        # The state that a window leads to is reported after it: this is the state before.
        self._windows[size].add(result.end_ms, p_value, result.effect_nats, self.firing)
        self._days[size].add(result.end_ms, p_value)
        self._newest[size] = result

    def _seen_sizes(self) -> list[int | str]:
        """Sizes of windows that were tested: those in samples first, both kinds ascending."""
        numbers = sorted(size for size in self._windows if isinstance(size, int))
        return [*numbers, *sorted((size for size in self._windows if isinstance(size, str)), key=duration_ms)]

    def _periods_json(self) -> list[dict[str, int | None]]:
        """When the alarm was active, the latest period last; an active one has no end."""
        periods: list[dict[str, int | None]] = [
            {"start_ms": start, "end_ms": end} for start, end in sorted(self._periods)
        ]
        if self._state is not None and self._state.firing and self._state.since_ms is not None:
            periods.append({"start_ms": self._state.since_ms, "end_ms": None})
        return periods

    def _moved(self) -> dict[str, Any] | None:
        """What moved in the newest window that is least likely under the reference."""
        if not self._newest:
            return None
        # Ties go to the largest.
        newest = [self._newest[size] for size in reversed(self._seen_sizes())]
        window = min(newest, key=lambda tested: tested.p_value)
        return {
            "window": window.size,
            "end_ms": window.end_ms,
            "p_value": finite(window.p_value),
            "effect_nats": finite(window.effect_nats),
            "explanation": window.explanation,
            "blocks": [
                {
                    "name": block,
                    **{
                        part: {"nats": finite(nats), "deviations": finite(deviations)}
                        for part, nats, deviations in zip(PARTS, *beyond, strict=True)
                    },
                }
                for block, *beyond in zip(window.parts, window.excess.nats, window.excess.deviations, strict=True)
            ],
            "groups": [
                {"name": group, "words": CHANGED.get(group, ""), "deviations": finite(deviations)}
                for group, deviations in zip(window.moments, window.excess.groups, strict=True)
            ],
        }
