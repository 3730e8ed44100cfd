"""Replays files as a stream, without a broker: the same stages in one thread, with the state in a file."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from driftwatch.config import ReplaySource
from driftwatch.data.event_times import EventTimes
from driftwatch.data.readers import Dataset, open_dataset
from driftwatch.data.schema import Schema
from driftwatch.errors import SourceError
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.events import Observer, Progress
from driftwatch.stream.file_records import TimeOf, file_records
from driftwatch.stream.local import LocalStages
from driftwatch.stream.log import Record
from driftwatch.stream.pane_scoring import Abandoned
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.snapshot import Snapshot, load_snapshot
from driftwatch.stream.switching import FindStandard
from driftwatch.tracing import UNTRACED, Tracer

TOPIC = "replay"
UNPACED_RATE = 1_000.0
"""Event-time rate, samples per second, if the replay runs as fast as it can."""

log = structlog.get_logger("driftwatch.replay")


class ReplayRole:
    """Replays files through scoring and testing.

    Args:
        source: files and pace.
        schema: of the stream's samples.
        stage: the scoring stage.
        find: looks up the standard that the stream is tested against.
        on_alert: called with each alert, before the stream continues.
        observer: receives every event.
        snapshot: file for the state; None to keep none.
        tracer: records tests and alerts.
    """

    name = "replay"

    def __init__(
        self,
        source: ReplaySource,
        schema: Schema,
        stage: ScoreStage,
        find: FindStandard,
        *,
        on_alert: Callable[[Announcement], None],
        observer: Observer,
        snapshot: Path | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._source = source
        self._schema = schema
        self._observe = observer
        self._path = snapshot
        self._resume = partial(
            LocalStages, stage, find, (TOPIC, 0), on_alert=on_alert, observer=observer, path=snapshot, tracer=tracer
        )

    def run(self, stop: threading.Event) -> None:
        """Replay to the end of the files, or until `stop` is set.

        Raises:
            DataError: a file does not fit the reference.
            SourceError: the state file is damaged, or belongs to other files.
        """
        datasets = [open_dataset(path) for path in self._source.data]
        batch = self._source.batch
        descriptions = tuple(f"{each.path.name}, {each.rows:,} samples, {batch} a message" for each in datasets)
        found = load_snapshot(self._path) if self._path else None
        if found:
            self._require_same(found.replayed, descriptions)
        snapshot = replace(found or Snapshot(int(time.time() * 1000)), replayed=descriptions)
        stages = self._resume(snapshot)
        self._observe(Progress("source_connected", self.name))
        if found:
            log.info("replay resumed", message=snapshot.position.offset)
            if not self._source.loop and snapshot.position.offset >= sum(-(-each.rows // batch) for each in datasets):
                log.warning("nothing is left to replay", state=str(self._path), remedy="delete it to replay again")
        started, first, messages = time.monotonic(), snapshot.position.offset, snapshot.position.seen
        for record in self._records(datasets, snapshot):
            if self._source.rate is not None:
                due = started + (record.offset - first) * self._source.batch / self._source.rate
                stop.wait(max(0.0, due - time.monotonic()))
            if stop.is_set():
                break
            try:
                stages.work(deque([record]), stop.is_set)
            except Abandoned:
                break
            messages = record.offset + 1
            self._observe(Progress("polled", self.name))
        stages.save()
        log.info("replay stopped" if stop.is_set() else "replay finished", messages=messages)

    def _require_same(self, before: tuple[str, ...], now: tuple[str, ...]) -> None:
        """Reject the state of other files, since its position means nothing here. Files may have been added at the end.

        Raises:
            SourceError: the state belongs to other files.
        """
        other = next((each for each in itertools.zip_longest(before, now) if each[0] not in (None, each[1])), None)
        if other:
            raise SourceError(
                f"is the state of a replay of {other[0]}, not of {other[1] or 'nothing after it'}",
                where=str(self._path),
                remedy="delete it to start afresh, or choose another state_dir",
            )

    def _records(self, datasets: list[Dataset], snapshot: Snapshot) -> Iterator[Record]:
        """Messages of `batch` samples each, from the snapshot's position on."""
        source, offset = self._source, 0
        while True:
            for dataset in datasets:
                messages = -(-dataset.rows // source.batch)
                skipped = min(messages, max(0, snapshot.position.offset - offset))
                offset += skipped
                if skipped == messages:
                    continue
                yield from file_records(
                    dataset,
                    self._schema,
                    source.stream,
                    (TOPIC, 0),
                    self._time_of(dataset, snapshot),
                    batch=source.batch,
                    offset=offset,
                    start=skipped * source.batch,
                )
                offset += messages - skipped
            if not source.loop:
                return

    def _time_of(self, dataset: Dataset, snapshot: Snapshot) -> TimeOf:
        """Event times of messages: the newest of their rows' times in the file; else as if they arrived at the rate."""
        if self._source.time is not None:
            times = EventTimes(dataset.path, self._source.time)
            return lambda rows, _: int(times.of(rows).max())
        rate = self._source.rate or UNPACED_RATE
        return lambda _, offset: snapshot.started_ms + int(1000 * offset * self._source.batch / rate)
