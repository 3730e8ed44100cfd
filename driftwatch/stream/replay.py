"""Files replayed as a stream, without a broker: the same stages in one thread, state in a file."""

from __future__ import annotations

import base64
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import structlog

from driftwatch.config import ReplaySource
from driftwatch.data.codecs import encode
from driftwatch.data.readers import Dataset, open_dataset
from driftwatch.data.schema import Schema
from driftwatch.errors import SourceError
from driftwatch.stream.alert import Alert
from driftwatch.stream.events import Observer, Progress, StageTimed
from driftwatch.stream.log import Record
from driftwatch.stream.pane_codec import decode_pane, encode_pane
from driftwatch.stream.positions import Position, parse_position
from driftwatch.stream.score_stage import Abandoned, ScoreStage
from driftwatch.stream.test_stage import MakeTester, Tests, TestStage

TOPIC = "replay"
SNAPSHOT_EVERY_S = 5.0
UNPACED_RATE = 1_000.0
"""Samples per second of event time, where the replay goes as fast as it can."""

log = structlog.get_logger("driftwatch.replay")


@dataclass(frozen=True)
class Snapshot:
    """Where a replay stands.

    Args:
        position: in the messages that the files make.
        started_ms: event time of the first message.
        next_pane: number of the next pane.
        states: of the policy, by stream.
        panes: that windows still need, encoded, oldest first.
    """

    position: Position
    started_ms: int
    next_pane: int
    states: dict[str, dict[str, Any]]
    panes: tuple[bytes, ...]

    def save(self, path: Path) -> None:
        """Writes it so that the file is whole at any instant."""
        written = {
            "format": 1,
            "offset": self.position.offset,
            "metadata": self.position.metadata(),
            "started_ms": self.started_ms,
            "next_pane": self.next_pane,
            "states": self.states,
            "panes": [base64.b64encode(pane).decode() for pane in self.panes],
        }
        partial = path.with_name(f".{path.name}.partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(orjson.dumps(written))
        partial.replace(path)


def load_snapshot(path: Path) -> Snapshot | None:
    """The snapshot in a file, or None where there is none.

    Raises:
        SourceError: the file is damaged.
    """
    try:
        stored = orjson.loads(path.read_bytes())
        return Snapshot(
            parse_position(int(stored["offset"]), stored["metadata"]),
            int(stored["started_ms"]),
            int(stored["next_pane"]),
            dict(stored["states"]),
            tuple(base64.b64decode(pane) for pane in stored["panes"]),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"is no snapshot of a replay: {error}", where=str(path), remedy="delete it to start anew"
        ) from None


class ReplayRole:
    """Replays files through scoring and testing.

    Args:
        source: files and pace.
        schema: of the stream's samples.
        stage: that scores.
        make_tester: for the stream.
        on_alert: told of each alert, before anything that follows it in the stream.
        observer: told of everything.
        snapshot: where the state is kept; None to keep none.
    """

    name = "replay"

    def __init__(
        self,
        source: ReplaySource,
        schema: Schema,
        stage: ScoreStage,
        make_tester: MakeTester,
        *,
        on_alert: Callable[[Alert], None],
        observer: Observer,
        snapshot: Path | None = None,
    ) -> None:
        self._source = source
        self._schema = schema
        self._stage = stage
        self._make_tester = make_tester
        self._on_alert = on_alert
        self._observe = observer
        self._path = snapshot

    def run(self, stop: threading.Event) -> None:
        """Replays to the end of the files, or until `stop` is set.

        Raises:
            DataError: a file does not fit the reference.
            SourceError: the snapshot is damaged.
        """
        datasets = [open_dataset(path) for path in self._source.data]
        found = load_snapshot(self._path) if self._path else None
        began = found or Snapshot(Position(0, 0), int(time.time() * 1000), 0, {}, ())
        self._stage.assign((TOPIC, 0), began.position)
        tests = TestStage(self._make_tester, tested=began.next_pane, states=began.states)
        for event in tests.begun:
            self._observe(event)
        for number, encoded in enumerate(began.panes):
            tests.feed(number - len(began.panes), decode_pane(encoded), Tests())
        self._observe(Progress("source_connected", self.name))
        if found:
            log.info("replay resumed", message=began.position.offset)
        position, number, states, saved = began.position, began.next_pane, dict(began.states), time.monotonic()
        started, first = time.monotonic(), began.position.offset
        for record in self._records(datasets, began):
            if self._source.rate is not None:
                due = started + (record.offset - first) * self._source.batch / self._source.rate
                stop.wait(max(0.0, due - time.monotonic()))
            if stop.is_set():
                break
            try:
                work = self._stage.work(deque([record]), give_up=stop.is_set)
            except Abandoned:
                break
            begun = time.perf_counter()
            came = Tests()
            for pane in work.panes:
                tests.feed(number, pane, came)
                number += 1
            for event in (*work.events, *came.events, StageTimed("test", time.perf_counter() - begun)):
                self._observe(event)
            for alert in came.alerts:
                self._on_alert(alert)
            states |= {stream: dict(state) for stream, state in came.states.items()}
            position = work.positions[TOPIC, 0]
            self._observe(Progress("polled", self.name))
            if came.alerts or time.monotonic() - saved > SNAPSHOT_EVERY_S:
                saved = time.monotonic()
                self._save(position, began.started_ms, number, states, tests)
        self._save(position, began.started_ms, number, states, tests)
        log.info("replay stopped" if stop.is_set() else "replay finished", messages=position.seen)

    def _save(
        self, position: Position, started_ms: int, number: int, states: dict[str, dict[str, Any]], tests: TestStage
    ) -> None:
        if self._path is None:
            return
        panes = tuple(encode_pane(pane) for pane in itertools.chain(*tests.panes().values()))
        Snapshot(position, started_ms, number, states, panes).save(self._path)

    def _records(self, datasets: list[Dataset], began: Snapshot) -> Iterator[Record]:
        """Messages of `batch` samples each, from the snapshot's position on."""
        rate = self._source.rate or UNPACED_RATE
        offset = 0
        while True:
            for dataset in datasets:
                messages = -(-dataset.rows // self._source.batch)
                skipped = min(messages, max(0, began.position.offset - offset))
                offset += skipped
                if skipped == messages:
                    continue
                start = skipped * self._source.batch
                for samples in dataset.chunks(self._schema, rows=self._source.batch, start=start):
                    value, headers = encode(samples, self._schema, "npy")
                    time_ms = began.started_ms + int(1000 * offset * self._source.batch / rate)
                    named = (*headers.items(), ("driftwatch-stream", self._source.stream.encode()))
                    yield Record(TOPIC, 0, offset, time_ms, None, value, named)
                    offset += 1
            if not self._source.loop:
                return
