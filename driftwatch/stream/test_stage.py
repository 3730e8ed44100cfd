"""Turns panes into window results and alerts, for the streams of one partition of the panes log. Kafka-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from driftwatch.errors import MessageError
from driftwatch.stream.alert import Alert
from driftwatch.stream.announcement import APART, Announcement
from driftwatch.stream.events import (
    AlertRaised,
    BetsMade,
    Event,
    NotTested,
    StreamPaced,
    StreamQuiet,
    StreamState,
    WindowTested,
)
from driftwatch.stream.findings import Examiner
from driftwatch.stream.formats import valid_state
from driftwatch.stream.log import Partition
from driftwatch.stream.pace import PACED, pace
from driftwatch.stream.panes import Pane
from driftwatch.stream.quiet_alert import QuietAlert
from driftwatch.stream.results import WindowResult
from driftwatch.stream.sighting import Sighting
from driftwatch.stream.silence import NEVER_SILENT, Silence
from driftwatch.stream.state_codec import parse_state
from driftwatch.stream.switching import FindStandard, SwitchingTester
from driftwatch.stream.windows import TestOutcome
from driftwatch.tracing import UNTRACED, Tracer

Announced = TypeVar("Announced", Alert, QuietAlert)

Entry = Pane | Sighting
"""An entry of the panes log."""

SILENCE = f"{APART}silence"
"""Suffix of the state key for a stream's silence; the policy's state has the stream's name as key."""


@dataclass
class Tests:
    """The outcome of a run of panes, to be committed as a whole; `trace` is the context of the testing span."""

    __test__ = False

    windows: list[WindowResult] = field(default_factory=list)
    alerts: list[Announcement] = field(default_factory=list)
    states: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    trace: str = ""


class TestStage:
    """Tests the panes of one partition of the panes log, in log order.

    Args:
        find: looks up the standard that a stream is tested against.
        tested: panes at offsets before this were tested by an earlier stage: they only refill windows.
        states: states of policies and silences by key, as the earlier stage left them.
        tracer: records the alerts.
    """

    __test__ = False

    def __init__(
        self,
        find: FindStandard,
        *,
        tested: int = 0,
        states: Mapping[str, Mapping[str, Any]] | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._tracer = tracer
        self._find = find
        self.tested = tested
        self._written: dict[str, Mapping[str, Any]] = dict(states or {})
        self._testers: dict[str, SwitchingTester] = {}
        self._next = tested
        self._silences = dict[str, Silence]()
        for key, state in self._written.items():
            if key.endswith(SILENCE):
                stream = key.removesuffix(SILENCE)
                with valid_state(f"the state of stream {stream}"):
                    self._silences[stream] = Silence.from_json(state)
        known = [stream for stream in self._written if not stream.endswith(SILENCE)]
        self.begun: list[Event] = [event for stream in known if (event := self._begin(stream))]
        # Like its policy state, the silence of a stream that is no longer configured is kept: it may come back.
        self.begun += [silence_event(name, silence) for name, silence in self._silences.items() if find(name, None)]

    def feed(self, offset: int, entry: Entry, tests: Tests) -> None:
        """Process the entry at an offset of the log, and add its results to `tests`."""
        self.feed_all([(offset, entry)], tests)

    def feed_all(self, run: Sequence[tuple[int, Entry]], tests: Tests) -> None:
        """Process entries with their offsets, in log order; larger runs cost less per entry.

        The references of panes not tested before must be available, see `lacks`.
        """
        run = [(offset, _numbered(each, offset)) for offset, each in run]
        for _, entry in run:
            if isinstance(entry, Pane) and entry.stream not in self._testers and (event := self._begin(entry.stream)):
                tests.events.append(event)
        tests.events += self._renewed()
        # Panes tested before come first, and are history for those tested now.
        new: dict[str, list[Pane]] = {}
        for offset, entry in run:
            if isinstance(entry, Sighting) or (tester := self._testers.get(entry.stream)) is None:
                continue
            if offset < self.tested:
                tester.replay(entry)
            else:
                new.setdefault(entry.stream, []).append(entry)
        examiner = Examiner()
        outcomes = {stream: self._testers[stream].feed_all(panes, examiner) for stream, panes in new.items()}
        for offset, entry in run:
            self.advance(offset)
            if offset >= self.tested:
                self._track_silence(entry, tests)
                if isinstance(entry, Pane) and entry.stream in outcomes:
                    self._take(entry, next(outcomes[entry.stream]), tests)
        for stream in outcomes:
            self._sum_up(stream, tests)

    def _sum_up(self, stream: str, tests: Tests) -> None:
        """Add the state after the last pane of a run; states in between are not reported."""
        tester = self._testers[stream]
        state = tester.state().to_json()
        if state != self._written.get(stream):
            tests.states[stream] = self._written[stream] = state
        if (newest := tester.newest) is None:
            return
        if newest.log_wealth is not None:
            tests.events.append(BetsMade(stream, newest.log_wealth, newest.wealth_limit))
        if (rate := pace(newest.latest(PACED))) is not None:
            tests.events.append(StreamPaced(stream, rate))

    def _track_silence(self, entry: Entry, tests: Tests) -> None:
        """Update whether the entry's stream is silent."""
        before = self._silences.get(entry.stream, NEVER_SILENT)
        if isinstance(entry, Sighting):
            after, alert = before.sighted(entry.stream, entry)
        else:
            after, alert = before.scored(entry)
        if after == before:
            return
        self._silences[entry.stream] = after
        key = f"{entry.stream}{SILENCE}"
        tests.states[key] = self._written[key] = after.to_json()
        if alert is not None:
            announced = self._announce(alert, (), tests.trace)
            tests.alerts.append(announced)
            tests.events += [AlertRaised(announced), silence_event(entry.stream, after)]

    def _take(self, pane: Pane, outcome: TestOutcome, tests: Tests) -> None:
        """Add the results of testing a pane."""
        tester = self._testers[pane.stream]
        tests.windows += outcome.windows
        links = [each.trace for alert in outcome.alerts for each in tester.panes[alert.reference[1]]]
        alerts = [self._announce(alert, links, tests.trace) for alert in outcome.alerts]
        tests.alerts += alerts
        tests.events += map(WindowTested, outcome.windows)
        tests.events += [AlertRaised(alert) for alert in alerts]
        if outcome.late or outcome.untested:
            tests.events.append(NotTested(pane.stream, outcome.late, outcome.untested))
        if outcome.alerts:
            tests.events.append(state_event(tester))

    def unknown(self, pane: Pane) -> MessageError | None:
        """Why a pane cannot be used, if its stream is not configured."""
        if self._find(pane.stream, None) is not None:
            return None
        return MessageError(
            f"holds a pane of stream {pane.stream}, which is not configured here",
            reason="unknown_stream",
            remedy="configure the stream where panes are tested first, then where samples are scored",
        )

    def lacks(self, pane: Pane) -> bool:
        """Whether the reference of a pane of a configured stream is missing here."""
        return self._find(pane.stream, pane.reference) is None

    def restart_windows(self, offset: int, partition: Partition) -> None:
        """Restart windows that hold samples of an input partition in which messages are gone.

        Args:
            offset: of the message that records the gap.
            partition: the partition.
        """
        self.advance(offset)
        for tester in self._testers.values():
            tester.restart_windows(partition)

    def advance(self, offset: int) -> None:
        """Mark the message at an offset as processed."""
        self._next = max(self._next, offset + 1)

    @property
    def next_offset(self) -> int:
        """Offset of the first entry that is not processed."""
        return self._next

    @property
    def rewind(self) -> int:
        """How many messages before `next_offset` a later stage must read to refill its windows."""
        oldest = [number for tester in self._testers.values() if (number := tester.oldest) is not None]
        return self._next - min(oldest, default=self._next)

    @property
    def streams(self) -> frozenset[str]:
        """Streams that have a state here."""
        return frozenset(self._testers) | frozenset(self._silences)

    def panes(self) -> list[Pane]:
        """The panes that windows still need, in the order of the log."""
        needed = [pane for tester in self._testers.values() for panes in tester.panes.values() for pane in panes]
        return sorted(needed, key=lambda pane: pane.number)

    def time_window_panes(self) -> dict[str, Mapping[str, Any]]:
        """Panes held by windows by time, by stream, JSON-able; empty without such windows."""
        return {stream: held for stream, tester in self._testers.items() if (held := tester.time_window_panes())}

    def restore_time_windows(self, held: Mapping[str, Mapping[str, Any]]) -> None:
        """Restore what `time_window_panes` returned."""
        for stream, panes in held.items():
            if (tester := self._testers.get(stream)) is not None:
                tester.restore_time_windows(panes)

    def _announce(self, alert: Announced, links: Sequence[str], testing: str) -> Announced:
        """Record an alert in the trace of the message that triggered it, linked to the others that led to it."""
        measured = {"effect_nats": alert.effect.nats, "p_value": alert.p_value} if isinstance(alert, Alert) else {}
        with self._tracer.span(
            "alert",
            parent=alert.trace or testing,
            links=[*links, testing],
            stream=alert.stream,
            state=alert.state,
            severity=alert.severity,
            **measured,
            alert_id=alert.id,
        ) as span:
            return replace(alert, announced_in=span.context)

    def _begin(self, stream: str) -> Event | None:
        if self._find(stream, None) is None:
            return None
        stored = self._written.get(stream)
        state = parse_state(stored, f"the state of stream {stream}") if stored is not None else None
        tester = self._testers[stream] = SwitchingTester(stream, self._find, state)
        return state_event(tester)

    def _renewed(self) -> Iterator[Event]:
        """Pick up changed standards and streams; report changed alarms."""
        for stream in list(self._testers):
            if self._find(stream, None) is None:
                del self._testers[stream]
            elif self._testers[stream].renew():
                yield state_event(self._testers[stream])


def _numbered(entry: Entry, offset: int) -> Entry:
    """The entry, with its offset as number."""
    return entry if isinstance(entry, Sighting) or entry.number == offset else replace(entry, number=offset)


def state_event(tester: SwitchingTester) -> StreamState:
    """The event that reports whether a stream's alarm is active."""
    return StreamState(tester.stream, tester.firing, tester.threshold, tester.severity, tester.since_ms)


def silence_event(stream: str, silence: Silence) -> StreamQuiet:
    """The event that reports whether a stream is silent."""
    return StreamQuiet(stream, silence.since_ms if silence.firing else None)
