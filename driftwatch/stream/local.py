"""Scoring and testing in one thread, without a broker: what they remember is a file, replaced atomically."""

from __future__ import annotations

import base64
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from driftwatch.errors import MessageError, SourceError
from driftwatch.stream import announcement
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.events import AlertRecalled, Observer, StageTimed, StateKept
from driftwatch.stream.formats import require_format
from driftwatch.stream.log import Partition, Record
from driftwatch.stream.pane_codec import decode_pane, encode_pane
from driftwatch.stream.positions import Position, parse_position
from driftwatch.stream.quiet_watch import QuietWatch
from driftwatch.stream.score_stage import DeadLetter, ScoreStage
from driftwatch.stream.state_file import write_whole
from driftwatch.stream.switching import FindStandard
from driftwatch.stream.test_stage import Entry, Tests, TestStage
from driftwatch.tracing import UNTRACED, Tracer

FORMAT = 1
SNAPSHOT_EVERY_S = 5.0
RECALLED = 20
"""Alerts that are kept, so that a restart does not forget them."""


@dataclass(frozen=True)
class Snapshot:
    """Where a stream without a log stands.

    Args:
        position: in its messages.
        started_ms: event time of the first message.
        next_pane: number of the next entry of what would be the panes log.
        states: of policy and silences, by their keys.
        panes: that windows still need, encoded, oldest first.
        alerts: the last ones, oldest first.
        by_time: what windows by time hold, by stream.
        replayed: what its messages are made of, in words; nothing where they come by themselves.
    """

    position: Position
    started_ms: int
    next_pane: int
    states: dict[str, dict[str, Any]]
    panes: tuple[bytes, ...]
    alerts: tuple[Announcement, ...] = ()
    by_time: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    replayed: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Writes it so that the file is whole at any instant."""
        written = {
            "format": FORMAT,
            "offset": self.position.offset,
            "metadata": self.position.metadata(),
            "started_ms": self.started_ms,
            "next_pane": self.next_pane,
            "states": self.states,
            "panes": [base64.b64encode(pane).decode() for pane in self.panes],
            "alerts": [announcement.encode(alert).decode() for alert in self.alerts],
            "by_time": dict(self.by_time),
            "replayed": self.replayed,
        }
        write_whole(path, orjson.dumps(written))


def load_snapshot(path: Path) -> Snapshot | None:
    """The snapshot in a file, or None where there is none.

    Raises:
        SourceError: the file is damaged, cannot be read, or is a newer driftwatch's.
    """
    try:
        stored = orjson.loads(path.read_bytes())
        require_format(stored.get("format", 1), FORMAT, what="the state", where=str(path))
        return Snapshot(
            parse_position(int(stored["offset"]), stored["metadata"]),
            int(stored["started_ms"]),
            int(stored["next_pane"]),
            dict(stored["states"]),
            tuple(base64.b64decode(pane) for pane in stored["panes"]),
            tuple(announcement.decode(alert.encode()) for alert in stored.get("alerts", ())),
            dict(stored.get("by_time", {})),
            tuple(map(str, stored.get("replayed", ()))),
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", where=str(path), remedy="see to state_dir") from None
    except (ValueError, KeyError, TypeError, AttributeError, MessageError) as error:
        raise SourceError(
            f"holds no state of a stream: {error}", where=str(path), remedy="delete it to start anew"
        ) from None


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
        self._saved, self._changed = time.monotonic(), False

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
        """Looks for streams from which nothing comes any more.

        Args:
            end: offset of the message to come; all before it were worked on.
        """
        if self._watch.due() and (silent := self._watch.silent(self._place, end, partitions=1)):
            self._test(silent, "")

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
        if came.alerts or time.monotonic() - self._saved > SNAPSHOT_EVERY_S:
            self._try_to_save()

    def save(self) -> None:
        """Keeps the state, unless nothing has come since it was kept last.

        Raises:
            SourceError: the file cannot be written.
        """
        self._saved = time.monotonic()
        if self._path is None or not self._changed:
            return
        panes = tuple(encode_pane(pane) for pane in self._tests.panes())
        try:
            Snapshot(
                self._position,
                self._started_ms,
                self._number,
                self._states,
                panes,
                tuple(self._alerts),
                self._tests.held_by_time(),
                self._replayed,
            ).save(self._path)
        except OSError as error:
            raise SourceError(
                f"the state cannot be kept: {error.strerror}", where=str(self._path), remedy="see to state_dir"
            ) from None
        self._changed = False

    def _try_to_save(self) -> None:
        """Keeps the state, or says that it cannot be: to watch on matters more than what a restart would repeat."""
        try:
            self.save()
        except SourceError as error:
            self._observe(StateKept(str(error)))
        else:
            self._observe(StateKept())
