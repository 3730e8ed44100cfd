"""Scores and tests in one thread, without a broker. The state is a file that is replaced atomically."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from driftwatch.errors import SourceError
from driftwatch.stream import announcement
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.dead_letters import DeadLetter
from driftwatch.stream.events import AlertRecalled, Observer, StageTimed, StateKept
from driftwatch.stream.log import Partition, Record
from driftwatch.stream.pane_codec import decode_pane, encode_pane
from driftwatch.stream.quiet_watch import QuietWatch
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.snapshot import SaveSchedule, Snapshot
from driftwatch.stream.switching import FindStandard
from driftwatch.stream.test_stage import Entry, Tests, TestStage
from driftwatch.tracing import UNTRACED, Tracer

RECALLED = 20
"""How many alerts the state keeps, so that a restart still shows them."""


class LocalStages:
    """Scores and tests the messages of one partition, and keeps the state.

    Args:
        stage: the scoring stage.
        find: looks up the standard that a stream is tested against.
        partition: topic and partition of all messages.
        snapshot: of the state to resume from.
        on_alert: called with each alert, before the stream continues.
        observer: receives every event.
        path: file for the state; None to keep none.
        watch: detects silent streams; a replay has none.
        tracer: records tests and alerts.
    """

    def __init__(
        self,
        stage: ScoreStage,
        find: FindStandard,
        partition: Partition,
        snapshot: Snapshot,
        *,
        on_alert: Callable[[Announcement], None],
        observer: Observer,
        path: Path | None,
        watch: QuietWatch | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._watch = watch or QuietWatch()
        self._stage = stage
        self._partition = partition
        self._on_alert = on_alert
        self._observe = observer
        self._path = path
        self._tracer = tracer
        self._alerts = deque(snapshot.alerts, RECALLED)
        for alert in self._alerts:
            observer(AlertRecalled(alert))
        stage.assign(partition, snapshot.position)
        self._watch.take_up(partition)
        self._tests = TestStage(find, tested=snapshot.next_pane, states=snapshot.states, tracer=tracer)
        for event in self._tests.begun:
            observer(event)
        for number, encoded in enumerate(snapshot.panes):
            self._tests.feed(number - len(snapshot.panes), decode_pane(encoded), Tests())
        self._tests.restore_time_windows(snapshot.by_time)
        self._started_ms, self._position, self._replayed = snapshot.started_ms, snapshot.position, snapshot.replayed
        self._number, self._states = snapshot.next_pane, dict(snapshot.states)
        self._schedule, self._changed, self._urgent = SaveSchedule(time.monotonic()), False, False
        self._encoded: dict[tuple[int, int], bytes] = {}

    def work(self, queue: deque[Record], give_up: Callable[[], bool]) -> list[DeadLetter]:
        """Score and test messages from the front of a queue, see `ScoreStage.work`; return the unusable ones.

        Raises:
            Abandoned: `give_up` returned True; nothing was tested.
        """
        work = self._stage.work(queue, give_up=give_up)
        for event in work.events:
            self._observe(event)
        self._position, self._changed = work.positions[self._partition], True
        self._test([*self._watch.note(work.newest), *work.panes], work.trace)
        return work.dead

    def check_silence(self, end: int) -> None:
        """Detect silent streams, and save the state if due.

        Args:
            end: offset of the next message; all before it are processed.
        """
        if self._watch.due() and (silent := self._watch.silent(self._partition, end, partitions=1)):
            self._test(silent, "")
        self._save_if_due()

    def _test(self, entries: Sequence[Entry], trace: str) -> None:
        """Test the next entries of what would be the panes log, and save the state if due."""
        begun = time.perf_counter()
        tests = Tests()
        if entries:
            with self._tracer.span("test", links=[trace], panes=len(entries)) as span:
                tests.trace = span.context
                self._tests.feed_all(list(enumerate(entries, self._number)), tests)
                self._number += len(entries)
        for event in (*tests.events, StageTimed("test", time.perf_counter() - begun)):
            self._observe(event)
        for alert in tests.alerts:
            self._on_alert(alert)
            self._alerts.append(announcement.without_samples(alert))
        self._states |= {key: dict(state) for key, state in tests.states.items()}
        self._changed = self._changed or bool(tests.states)
        self._urgent = self._urgent or bool(tests.alerts)
        self._save_if_due()

    def save(self) -> None:
        """Save the state, unless nothing has changed since it was saved last.

        Raises:
            SourceError: the file cannot be written.
        """
        begun = time.monotonic()
        self._schedule, self._urgent = SaveSchedule(begun), False
        if self._path is None or not self._changed:
            return
        try:
            Snapshot(
                started_ms=self._started_ms,
                position=self._position,
                next_pane=self._number,
                states=self._states,
                panes=self._encoded_panes(),
                alerts=tuple(self._alerts),
                by_time=self._tests.time_window_panes(),
                replayed=self._replayed,
            ).save(self._path)
        except OSError as error:
            raise SourceError(
                f"the state cannot be kept: {error.strerror}", where=str(self._path), remedy="check state_dir"
            ) from None
        now = time.monotonic()
        self._schedule, self._changed = SaveSchedule(now, now - begun), False

    def _encoded_panes(self) -> tuple[bytes, ...]:
        """The panes that windows need, oldest first; each is encoded once, however often it is saved."""
        # A slice has the number of its first piece, which may have been saved on its own: `n` tells them apart.
        needed = {(pane.number, pane.n): pane for pane in self._tests.panes()}
        self._encoded = {key: self._encoded.get(key) or encode_pane(pane) for key, pane in needed.items()}
        return tuple(self._encoded.values())

    def _save_if_due(self) -> None:
        """Save the state if due. Failures are only reported: monitoring matters more than what a restart would redo."""
        if not self._schedule.due(time.monotonic(), urgent=self._urgent):
            return
        try:
            self.save()
        except SourceError as error:
            self._observe(StateKept(str(error)))
        else:
            self._observe(StateKept())
