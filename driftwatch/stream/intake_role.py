"""The intake role: scores and tests, in one thread, what is received over HTTP."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from driftwatch.config import HttpSource
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.dead_letter_file import intake_dead_letters
from driftwatch.stream.events import UNKNOWN, BatchSeen, Observer, Progress
from driftwatch.stream.intake import TOPIC, record_of
from driftwatch.stream.intake_queue import WAIT_S, Closing, IntakeQueue
from driftwatch.stream.local import LocalStages
from driftwatch.stream.log import Record
from driftwatch.stream.pane_scoring import Abandoned
from driftwatch.stream.positions import Position
from driftwatch.stream.quiet_watch import QuietWatch
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.snapshot import Snapshot, load_snapshot
from driftwatch.stream.switching import FindStandard
from driftwatch.tracing import UNTRACED, Tracer

log = structlog.get_logger("driftwatch.intake")


class IntakeRole:
    """Scores and tests what is received over HTTP.

    Offsets start at the clock's microseconds and count messages from there. None is ever used twice, however the daemon
    ended, which keeps alert ids unique.

    Args:
        source: the HTTP intake.
        queue: of received requests.
        stage: the scoring stage.
        find: looks up the standard that a stream is tested against.
        streams: names of the configured streams; they may change.
        on_alert: called with each alert, before the stream continues.
        observer: receives every event.
        state_dir: folder for state and dead letters; None to keep none.
        watch: detects silent streams.
        tracer: records tests and alerts.
    """

    name = "intake"

    def __init__(
        self,
        source: HttpSource,
        queue: IntakeQueue,
        stage: ScoreStage,
        find: FindStandard,
        *,
        streams: Collection[str],
        on_alert: Callable[[Announcement], None],
        observer: Observer,
        state_dir: Path | None,
        watch: QuietWatch | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._source = source
        self._queue = queue
        self._observe = observer
        self._streams = streams
        self._path = state_dir / "intake.json" if state_dir else None
        self._dead_letters = intake_dead_letters(state_dir)
        self._resume = partial(
            LocalStages,
            stage,
            find,
            (TOPIC, 0),
            on_alert=on_alert,
            observer=observer,
            path=self._path,
            watch=watch,
            tracer=tracer,
        )

    def run(self, stop: threading.Event) -> None:
        """Score until `stop` is set, and then for a short time what is queued.

        Raises:
            SourceError: the state is damaged, or cannot be kept.
        """
        offset = time.time_ns() // 1000
        found = load_snapshot(self._path) if self._path else None
        offset = max(offset, found.position.seen if found else 0)
        snapshot = found or Snapshot(int(time.time() * 1000))
        # Samples that were in open panes when the state was saved are lost: HTTP requests cannot be read again.
        stages = self._resume(replace(snapshot, position=Position(offset, offset)))
        if found:
            log.info("state restored", panes=len(found.panes))
        self._observe(Progress("source_connected", self.name))
        closing = Closing(stop, self._queue)
        queue: deque[Record] = deque()
        try:
            while not closing.done():
                self._observe(Progress("polled", self.name))
                self._observe(self._queue.depth())
                for posted in self._queue.take(WAIT_S):
                    record = record_of(posted, offset, self._source, self._default_stream())
                    if record is None:
                        self._observe(BatchSeen(UNKNOWN, "skipped", 0))
                    else:
                        queue.append(record)
                        offset += 1
                while queue:
                    self._observe(Progress("polled", self.name))
                    for letter in stages.work(queue, closing.late):
                        if self._dead_letters is not None:
                            self._dead_letters.write(letter.record, letter.error)
                stages.check_silence(offset)
        except Abandoned:
            pass
        left = len(queue) + self._queue.depth().messages
        if left:
            log.warning("stopped with requests that are not scored", messages=left)
        stages.save()

    def _default_stream(self) -> str | None:
        """The stream for requests that name none."""
        return self._source.stream or (next(iter(self._streams)) if len(self._streams) == 1 else None)
