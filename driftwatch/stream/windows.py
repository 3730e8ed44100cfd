"""Sliding windows of one stream: panes are merged, tested, and judged by the policy.

Everything here is a function of the stream's panes and their order alone: replaying the panes log gives the same
windows, alerts and ids.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from driftwatch.data.flaws import add_flaws
from driftwatch.stats.interval import effect_interval
from driftwatch.stats.null import WindowNull
from driftwatch.stats.summary import merge
from driftwatch.stream import anytime
from driftwatch.stream.alert import Alert, DetectorResult, Effect, WindowSpan
from driftwatch.stream.anytime import AnytimeState
from driftwatch.stream.count_windows import CountWindow
from driftwatch.stream.findings import Batch, Examiner, detector_results, examine
from driftwatch.stream.heat_map import heat_map, place_words
from driftwatch.stream.held_panes import HeldPanes
from driftwatch.stream.log import Partition
from driftwatch.stream.panes import Pane, examples_of
from driftwatch.stream.policy import PolicyState, Transition, advance
from driftwatch.stream.reasons import why_on, why_over
from driftwatch.stream.results import Findings, WindowResult
from driftwatch.stream.standards import Standard
from driftwatch.stream.time_windows import TimeWindows

_Request = tuple[WindowSpan, Callable[[], Findings]]
"""A window handed to an examiner, and the function that returns its findings."""

ALERT_IDS = uuid.UUID("6f1c2c3e-57a7-5d5c-9a0e-2f4a1a4f8f10")


@dataclass(frozen=True)
class TestOutcome:
    """The results of testing one pane.

    Args:
        windows: a result for each window that was full or due.
        alerts: announcements, usually none.
        untested: names of windows by time that were due but had too few samples.
        late: samples that came too late for a window by time.
    """

    windows: tuple[WindowResult, ...] = ()
    alerts: tuple[Alert, ...] = ()
    untested: tuple[str, ...] = ()
    late: int = 0


class StreamTester:
    """Tests the sliding windows of one stream, whose panes were all scored by one reference.

    Args:
        stream: its name.
        standard: for that reference.
        state: of the stream's alarm.
    """

    def __init__(self, stream: str, standard: Standard, state: PolicyState | None = None) -> None:
        self.stream = stream
        self.sizes = tuple(sorted(standard.procedure.nulls))
        self.state = state or PolicyState()
        self._held = HeldPanes(self.sizes[-1])
        self._windows = self._empty()
        grid = standard.procedure.grid
        self.by_time = TimeWindows(standard.by_time, grid, standard.examples) if standard.by_time and grid else None
        self._anytime: AnytimeState | None = None
        self.use_standard(standard)

    def use_standard(self, standard: Standard) -> None:
        """Switch to another standard with the same reference and window sizes; windows and any bets continue."""
        self.standard = standard
        self.reference, self.procedure, self.policy = standard.reference, standard.procedure, standard.policy
        self.examples, self._alarm = standard.examples, standard.alarm
        self._anytime = (self._anytime or self._alarm.begin()) if self._alarm else None
        if self.by_time and standard.by_time and standard.procedure.grid:
            self.by_time.use_rule(standard.by_time, standard.procedure.grid)

    @property
    def panes(self) -> Sequence[Pane]:
        """The panes that windows by count still need, oldest first."""
        return self._held.panes

    def latest(self, count: int) -> Sequence[Pane]:
        """Up to `count` of the newest slices held for windows by count, newest first."""
        return self._held.latest(count)

    @property
    def oldest(self) -> int | None:
        """Number of the oldest pane that any window still needs; None if there is none."""
        numbers = (self._held.oldest, self.by_time.oldest if self.by_time else None)
        return min((number for number in numbers if number is not None), default=None)

    @property
    def firing(self) -> bool:
        """Whether the stream's alarm is active."""
        return self.state.firing

    @property
    def severity(self) -> str | None:
        """Severity of the alarm, while it is active."""
        return self.state.severity if self.state.firing else None

    @property
    def wealth_limit(self) -> float:
        """Log of the wealth that triggers the anytime alarm, nats; infinite without one."""
        return self._alarm.limit if self._alarm else math.inf

    @property
    def log_wealth(self) -> float | None:
        """Log of the anytime alarm's wealth, nats; None without one."""
        return self._anytime.log_wealth if self._anytime else None

    @property
    def bets(self) -> AnytimeState | None:
        """State of the anytime alarm; None without one."""
        return self._anytime

    def resume_bets(self, bets: AnytimeState) -> None:
        """Resume the anytime alarm, if there is one, where an earlier tester of the same reference left it."""
        if self._alarm:
            self._anytime = bets

    def replay(self, pane: Pane) -> None:
        """Add a pane that was tested before: it is history for later windows."""
        if (completed := self._held.add(pane)) is not None:
            for window in self._windows:
                window.push(completed)
        if self.by_time:
            self.by_time.replay(pane)

    def _empty(self) -> tuple[CountWindow, ...]:
        return tuple(map(CountWindow, self.sizes))

    def restart_windows(self, partition: Partition) -> None:
        """Restart windows by count if they hold panes of a partition in which messages are gone after those.

        Windows by time keep the samples that they have.
        """
        if self._held.restart(partition):
            self._windows = self._empty()

    def feed(self, pane: Pane) -> TestOutcome:
        """Add the next pane of the stream, and test the windows that end with it."""
        return next(self.feed_all([pane]))

    def feed_all(self, panes: Sequence[Pane], examiner: Examiner | None = None) -> Iterator[TestOutcome]:
        """Add the next panes, and test the windows that end with each of them.

        All windows are tested together when the first outcome is requested, which costs much less than one by one.
        Windows that other streams have passed to the same `examiner` by then are tested with them. At each outcome the
        tester is in the state after that pane. The iterator must be exhausted.
        """
        return self._outcomes(panes, self._ask(panes, examiner or Examiner()))

    def _outcomes(self, panes: Sequence[Pane], requests: Sequence[Sequence[_Request]]) -> Iterator[TestOutcome]:
        bets = self._bets_on(panes)
        for pane, windows in zip(panes, requests, strict=True):
            self._held.add(pane)
            self._anytime = next(bets)
            outcome = self._judge([self._tested(span, finding()) for span, finding in windows])
            yield self._judge_by_time(pane, outcome, self.by_time) if self.by_time else outcome

    def _bets_on(self, panes: Sequence[Pane]) -> Iterator[AnytimeState | None]:
        """The state of the anytime alarm after each of the next panes."""
        if self._alarm is None or self._anytime is None:
            return repeat(None)
        return self._alarm.advance(self._anytime, [np.frombuffer(pane.grades, np.uint8) for pane in panes])

    def _judge(self, results: Sequence[WindowResult]) -> TestOutcome:
        """Apply the policy to the windows by count that end with the pane just added."""
        if not results:
            return TestOutcome()
        held = self._anytime is not None and self._anytime.held > 0
        before = self.state
        drifting = self.by_time is not None and bool(self.by_time.drifting)
        full = len(results) == len(self.sizes)
        self.state, transition = advance(self.policy, before, results, anytime=held, drifting=drifting, full=full)
        if transition is None:
            return TestOutcome(tuple(results))
        size = int(transition.window.size)
        alert = self._announce(transition, before, self._held.window(size), self.procedure.nulls[size])
        return TestOutcome(tuple(results), (alert,))

    def _judge_by_time(self, pane: Pane, outcome: TestOutcome, by_time: TimeWindows) -> TestOutcome:
        """Add the results of the windows by time that are due with a pane to those by count."""
        due, late = by_time.take(pane)
        windows, alerts, untested = list(outcome.windows), list(outcome.alerts), list[str]()
        for each in due:
            if each.null is None:
                untested.append(each.size.name)
                continue
            summary, flaws = merge([part.summary for part in each.panes]), add_flaws(part.flaws for part in each.panes)
            (found,) = examine(each.null, summary[None], self.reference, [flaws])
            drift = found.p_value <= each.alpha and found.effect_nats >= self.policy.min_effect
            patient = self.policy.is_over(self.state.settled, self.state.stirred_ms, each.span.end_ms)
            quiet = self.policy.quiet(found.p_value, found.effect_nats, patient=patient)
            by_time.tested(each.size, quiet=quiet)
            windows.append(self._result(each.span, found, drift))
            if drift:
                before = self.state
                self.state, transition = advance(self.policy, before, windows[-1:])
                if transition:
                    alerts.append(self._announce(transition, before, each.panes, each.null))
        return TestOutcome(tuple(windows), tuple(alerts), tuple(untested), late)

    def _ask(self, panes: Sequence[Pane], examiner: Examiner) -> list[list[_Request]]:
        """Pass the windows that end with each of the next panes to the examiner; return the requests of each pane."""
        batch = examiner.batch(self.reference, len(panes) * len(self.sizes))
        return [self._ask_for(completed, batch) for completed in self._held.completed_by(panes)]

    def _ask_for(self, completed: Pane | None, batch: Batch) -> list[_Request]:
        if completed is None:
            return []
        requests: list[_Request] = []
        for size, window in zip(self.sizes, self._windows, strict=True):
            window.push(completed)
            if (full := window.full()) is not None:
                requests.append((full.span, batch.ask(self.procedure.nulls[size], window, full.flaws)))
        return requests

    def _tested(self, span: WindowSpan, found: Findings) -> WindowResult:
        return self._result(span, found, self.policy.drifted(found.p_value, found.effect_nats))

    def _result(self, span: WindowSpan, found: Findings, drift: bool) -> WindowResult:
        return WindowResult(
            stream=self.stream,
            reference=self.reference.version,
            span=span,
            drift=drift,
            **vars(found),
        )

    def _announce(self, transition: Transition, before: PolicyState, window: Sequence[Pane], null: WindowNull) -> Alert:
        result, last = transition.window, window[-1]
        began = self.state if self.state.firing else before
        identity = (
            f"{self.stream}|{self.reference.version}|{transition.state}|{transition.severity}|{result.size}|"
            f"{last.topic}|{last.partition}|{last.last[0]}|{last.last[1]}"
        )
        firing = transition.state == "firing"
        panes = np.stack([pane.summary for pane in window])
        summary = merge(panes)
        found = heat_map(summary, self.reference) if firing else None
        place = place_words(found, summary, self.reference) if found else ""
        return Alert(
            id=str(uuid.uuid5(ALERT_IDS, identity)),
            stream=self.stream,
            state=transition.state,
            severity=transition.severity,
            effect=Effect(*effect_interval(null, panes, self.reference.others[0])),
            window=result.span,
            p_value=result.p_value,
            detectors=detector_results(result) + self._bets(),
            explanation=(
                why_on(before, self.state, result, self._anytime, place)
                if firing
                else why_over(self.policy, before, result)
            ),
            reference=(self.reference.name, self.reference.version),
            heat_map=found,
            examples=examples_of(window, self.examples) if firing else None,
            since_ms=began.since_ms,
            trace=next((pane.trace for pane in reversed(window) if pane.trace), ""),
        )

    def _bets(self) -> tuple[DetectorResult, ...]:
        """The anytime alarm as a detector; its statistic is the log of the wealth, nats."""
        if self._anytime is None:
            return ()
        return (DetectorResult(anytime.NAME, self._anytime.log_wealth, self._anytime.p_value, {}),)
