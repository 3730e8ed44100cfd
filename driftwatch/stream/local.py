"""Scoring and testing in one thread, without a broker: what they remember is a file, replaced atomically."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from driftwatch.errors import SourceError
from driftwatch.stream import announcement
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.events import AlertRecalled, Observer, StageTimed, StateKept
from driftwatch.stream.log import Partition, Record
from driftwatch.stream.pane_codec import decode_pane, encode_pane
from driftwatch.stream.quiet_watch import QuietWatch
from driftwatch.stream.score_stage import DeadLetter, ScoreStage
from driftwatch.stream.snapshot import Rhythm, Snapshot
from driftwatch.stream.switching import FindStandard
from driftwatch.stream.test_stage import Entry, Tests, TestStage
from driftwatch.tracing import UNTRACED, Tracer

RECALLED = 20
"""Alerts that are kept, so that a restart does not forget them."""


class LocalStages:
    """Scores and tests the messages of one place, and keeps what they leave behind.

    Args:
        stage: that scores.
        find: of the standards that streams are held to.
        place: topic and partition of all messages.
        on_alert: told of each alert, before anything that follows it in the stream.
        observer: told of everything.
        path: where the state is kept; None to keep none.
        watch: finds streams from which nothing comes any more; a replay has none.
        tracer: records tests and alerts.
    """

    def __init__(
        self,
        stage: ScoreStage,
        find: FindStandard,
        place: Partition,
        *,
        on_alert: Callable[[Announcement], None],
        observer: Observer,
        path: Path | None,
        watch: QuietWatch | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._watch = watch or QuietWatch()
        self._stage = stage
        self._find = find
        self._place = place
        self._on_alert = on_alert
        self._observe = observer
        self._path = path
        self._tracer = tracer

    def begin(self, began: Snapshot) -> None:
        """Takes up the stream where a snapshot has it."""
        self._alerts = deque(began.alerts, RECALLED)
        for alert in self._alerts:
            self._observe(AlertRecalled(alert))
        self._stage.assign(self._place, began.position)
        self._watch.take_up(self._place)
        self._tests = TestStage(self._find, tested=began.next_pane, states=began.states, tracer=self._tracer)
        for event in self._tests.begun:
            self._observe(event)
        for number, encoded in enumerate(began.panes):
            self._tests.feed(number - len(began.panes), decode_pane(encoded), Tests())
        self._tests.hold_by_time(began.by_time)
        self._started_ms, self._position, self._replayed = began.started_ms, began.position, began.replayed
        self._number, self._states = began.next_pane, dict(began.states)
        self._rhythm, self._changed, self._urgent = Rhythm(time.monotonic()), False, False
        self._encoded: dict[tuple[int, int], bytes] = {}

    def work(self, queue: deque[Record], give_up: Callable[[], bool]) -> list[DeadLetter]:
        """Scores and tests messages from the front of a queue, see `ScoreStage.work`; gives those that are unusable.

        Raises:
            Abandoned: `give_up` said so; nothing of it counts.
        """
        work = self._stage.work(queue, give_up=give_up)
        for event in work.events:
            self._observe(event)
        self._position, self._changed = work.positions[self._place], True
        self._test([*self._watch.heard(work.heard), *work.panes], work.trace)
        return work.dead

    def listen(self, end: int) -> None:
        """Looks for streams from which nothing comes any more, and keeps the state when it is time.

        Args:
            end: offset of the message to come; all before it were worked on.
        """
        if self._watch.due() and (silent := self._watch.silent(self._place, end, partitions=1)):
            self._test(silent, "")
        self._save_if_due()

    def _test(self, entries: Sequence[Entry], trace: str) -> None:
        """Tests what a log of panes would have next, and keeps the state now and then."""
        begun = time.perf_counter()
        came = Tests()
        if entries:
            with self._tracer.span("test", links=[trace], panes=len(entries)) as span:
                came.trace = span.context
                self._tests.feed_all(list(enumerate(entries, self._number)), came)
                self._number += len(entries)
        for event in (*came.events, StageTimed("test", time.perf_counter() - begun)):
            self._observe(event)
        for alert in came.alerts:
            self._on_alert(alert)
            self._alerts.append(announcement.without_samples(alert))
        self._states |= {key: dict(state) for key, state in came.states.items()}
        self._changed = self._changed or bool(came.states)
        self._urgent = self._urgent or bool(came.alerts)
        self._save_if_due()

    def save(self) -> None:
        """Keeps the state, unless nothing has come since it was kept last.

        Raises:
            SourceError: the file cannot be written.
        """
        begun = time.monotonic()
        self._rhythm, self._urgent = Rhythm(begun), False
        if self._path is None or not self._changed:
            return
        try:
            Snapshot(
                self._position,
                self._started_ms,
                self._number,
                self._states,
                self._encoded_panes(),
                tuple(self._alerts),
                self._tests.held_by_time(),
                self._replayed,
            ).save(self._path)
        except OSError as error:
            raise SourceError(
                f"the state cannot be kept: {error.strerror}", where=str(self._path), remedy="see to state_dir"
            ) from None
        now = time.monotonic()
        self._rhythm, self._changed = Rhythm(now, now - begun), False

    def _encoded_panes(self) -> tuple[bytes, ...]:
        """The panes that windows need, oldest first; each is encoded once, however often it is kept."""
        # A slice has the number of its first piece, which may have been kept by itself.
        needed = {(pane.number, pane.n): pane for pane in self._tests.panes()}
        self._encoded = {key: self._encoded.get(key) or encode_pane(pane) for key, pane in needed.items()}
        return tuple(self._encoded.values())

    def _save_if_due(self) -> None:
        """Keeps the state, or says that it cannot be: to watch on matters more than what a restart would repeat."""
        if not self._rhythm.due(time.monotonic(), urgent=self._urgent):
            return
        try:
            self.save()
        except SourceError as error:
            self._observe(StateKept(str(error)))
        else:
            self._observe(StateKept())
