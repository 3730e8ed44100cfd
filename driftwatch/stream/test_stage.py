"""Panes to window results and alerts, for the streams of one partition of the panes log. No Kafka here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from driftwatch.stream.alert import Alert
from driftwatch.stream.events import AlertRaised, BetsMade, Event, StreamState, WindowTested
from driftwatch.stream.panes import Pane
from driftwatch.stream.results import WindowResult
from driftwatch.stream.windows import StreamTester, TestOutcome
from driftwatch.tracing import UNTRACED, Tracer

MakeTester = Callable[[str], StreamTester | None]
"""A tester for a stream by its name; None if the stream is not configured."""


@dataclass
class Tests:
    """What a run of panes came to; all of it is to be committed at once.

    `trace` is the context of their testing.
    """

    __test__ = False

    windows: list[WindowResult] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    states: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    trace: str = ""


class TestStage:
    """Tests the panes of one partition of the panes log, in its order.

    Args:
        make_tester: for the streams that turn up.
        tested: panes at offsets before this were tested by an earlier stage: they are history.
        states: of the policy, by stream, as the earlier stage left them.
        tracer: records the alerts.
    """

    __test__ = False

    def __init__(
        self,
        make_tester: MakeTester,
        *,
        tested: int = 0,
        states: Mapping[str, Mapping[str, Any]] | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._tracer = tracer
        self._make_tester = make_tester
        self._tested = tested
        self._written: dict[str, Mapping[str, Any]] = dict(states or {})
        self._testers: dict[str, StreamTester] = {}
        self._offsets: dict[str, deque[int]] = {}
        self._next = tested
        self.begun = [event for stream in self._written if (event := self._begin(stream))]

    def feed(self, offset: int, pane: Pane, tests: Tests) -> None:
        """Takes the pane at an offset of the log, and adds what it leads to."""
        self.feed_all([(offset, pane)], tests)

    def feed_all(self, run: Sequence[tuple[int, Pane]], tests: Tests) -> None:
        """Takes panes with their offsets, in the order of the log; the more at once, the less each of them costs."""
        new: dict[str, list[Pane]] = {}
        for offset, pane in run:
            if offset >= self._tested:
                new.setdefault(pane.stream, []).append(pane)
            if pane.stream not in self._testers and (event := self._begin(pane.stream)):
                tests.events.append(event)
        outcomes = {
            stream: tester.feed_all(panes)
            for stream, panes in new.items()
            if (tester := self._testers.get(stream)) is not None
        }
        for offset, pane in run:
            self._take(offset, pane, outcomes, tests)

    def _take(self, offset: int, pane: Pane, outcomes: Mapping[str, Iterator[TestOutcome]], tests: Tests) -> None:
        self._next = max(self._next, offset + 1)
        tester = self._testers.get(pane.stream)
        if tester is None:
            return
        if offset < self._tested:
            tester.replay(pane)
        else:
            outcome = next(outcomes[pane.stream])
            tests.windows += outcome.windows
            alerts = [self._announce(alert, tester, tests.trace) for alert in outcome.alerts]
            tests.alerts += alerts
            tests.events += [tested_event(result) for result in outcome.windows]
            tests.events += [AlertRaised(alert) for alert in alerts]
            if tester.log_wealth is not None:
                tests.events.append(BetsMade(pane.stream, tester.log_wealth, tester.wealth_limit))
            state = tester.state()
            if state != self._written.get(pane.stream):
                tests.states[pane.stream] = self._written[pane.stream] = state
            if outcome.alerts:
                tests.events.append(state_event(tester))
        offsets = self._offsets.setdefault(pane.stream, deque())
        offsets.append(offset)
        while len(offsets) > len(tester.panes):
            offsets.popleft()

    def passed(self, offset: int) -> None:
        """Notes that a message which is no pane is dealt with."""
        self._next = max(self._next, offset + 1)

    @property
    def next_offset(self) -> int:
        """Of the first pane that is not tested."""
        return self._next

    @property
    def rewind(self) -> int:
        """How many messages before `next_offset` a later stage must start to read, to have its windows full."""
        oldest = min((offsets[0] for offsets in self._offsets.values() if offsets), default=self._next)
        return self._next - min(oldest, self._next)

    @property
    def streams(self) -> frozenset[str]:
        """Streams that have a tester."""
        return frozenset(self._testers)

    def panes(self) -> Mapping[str, tuple[Pane, ...]]:
        """The panes that windows still need, by stream, oldest first."""
        return {stream: tuple(tester.panes) for stream, tester in self._testers.items()}

    def _announce(self, alert: Alert, tester: StreamTester, testing: str) -> Alert:
        """Notes an alert in the trace of the message that set it off, with the others that led to it."""
        led = [pane.trace for pane in tester.panes]
        with self._tracer.span(
            "alert",
            parent=alert.trace or testing,
            links=[*led, testing],
            stream=alert.stream,
            state=alert.state,
            severity=alert.severity,
            effect_nats=alert.effect.nats,
            p_value=alert.p_value,
            alert_id=alert.id,
        ) as span:
            return replace(alert, announced=span.context)

    def _begin(self, stream: str) -> Event | None:
        tester = self._make_tester(stream)
        if tester is None:
            return None
        if stream in self._written:
            tester.restore(self._written[stream])
        self._testers[stream] = tester
        return state_event(tester)


def state_event(tester: StreamTester) -> StreamState:
    """Whether a stream's alarm is on."""
    threshold = tester.procedure.control.threshold
    return StreamState(tester.stream, tester.firing, threshold, tester.severity, tester.since_ms)


def tested_event(result: WindowResult) -> WindowTested:
    """A window's result, as metrics and the status page want it: its parts also summed over blocks."""
    names = next(iter(result.parts.values()), {})
    totals = {name: sum(parts[name] for parts in result.parts.values()) for name in names}
    return WindowTested(
        stream=result.stream,
        window=result.size,
        statistics=result.statistics,
        p_values=result.p_values,
        parts={"kl": totals, "geometry": result.geometry, "moments": result.moments},
        effect_nats=result.effect_nats,
        end_ms=result.end_ms,
        drift=result.drift,
        blocks=result.parts,
        excess=result.excess,
        groups=result.groups,
        explanation=result.explanation,
    )
