"""Run the daemon's stages over files like over a stream: with the same panes, windows, thresholds and alerts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from driftwatch.backtest.history import History
from driftwatch.backtest.periods import By
from driftwatch.config import DaemonConfig
from driftwatch.data.event_times import EventTimes
from driftwatch.data.readers import Dataset
from driftwatch.data.refused_rows import Refusals
from driftwatch.errors import UsageError
from driftwatch.plan import Plans, make_plan
from driftwatch.reference.reference import Reference
from driftwatch.stream.file_records import file_records
from driftwatch.stream.log import Record
from driftwatch.stream.replay import TOPIC
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.standards import example_rule
from driftwatch.stream.test_stage import Tests, TestStage

PLACE = (TOPIC, 0)
"""The same place as in a replay, so that equal messages give alerts with equal ids."""

AT_ONCE = 4_096
"""Samples that are scored and tested together, which makes each of them cheaper."""


class Backtest:
    """Watches files as one stream of a configuration, whose source and sinks are ignored.

    Args:
        config: the daemon's, with only the stream to watch.
        reference: of the stream.
        dataset: the files, with rows in their original order.
        time: column with the event time of each row; None if there is none.

    Raises:
        UsageError: there are time-based windows, but no times.
        DataError: there is no such column.
    """

    def __init__(self, config: DaemonConfig, reference: Reference, dataset: Dataset, time: str | None) -> None:
        if time is None and config.windows.times_ms:
            raise UsageError(
                f"windows of {', '.join(config.windows.times_ms)} need the time of each row",
                where="windows.sizes",
                remedy="name the column by --time, or leave these windows out",
            )
        (stream,) = config.streams
        self._config, self._stream, self._dataset = config, stream.name, dataset
        self._reference = reference
        self.times = None if time is None else EventTimes(dataset.path, time)
        self._plans = Plans(make_plan(config, {stream.name: reference}))
        # Without time-based windows, a message is a pane, and its time is that of the pane's newest row.
        self.batch = 1 if config.windows.times_ms else config.windows.step
        self.refusals = Refusals()

    def prepare(self, by: By) -> History:
        """Calibrate, which takes seconds; returns an empty history, to be divided into periods `by`."""
        return History(
            self._plans.now.standards.standard(self._reference),
            self.batch,
            self.refusals,
            rows=self._dataset.rows,
            timed=self.times is not None,
            by=by,
        )

    def run(self, history: History, progress: Callable[[int], None]) -> None:
        """Watch the whole stream.

        Args:
            history: records what happens.
            progress: called with the number of samples processed since its last call.

        Raises:
            DataError: the data does not fit the reference.
        """
        windows, rule = self._config.windows, example_rule(self._config.alerts)
        stage = ScoreStage(
            self._plans.routes(),
            windows.step,
            tick_ms=windows.tick_ms,
            examples=rule,
            committed=False,
        )
        tests, number = TestStage(self._plans.find), 0
        records = self._records()
        while queue := deque(islice(records, max(1, AT_ONCE // self.batch))):
            while queue:
                before = len(queue)
                panes = stage.work(queue).panes
                results = Tests()
                tests.feed_all(list(enumerate(panes, number)), results)
                number += len(panes)
                history.take(panes, results)
                progress((before - len(queue)) * self.batch)

    def _records(self) -> Iterator[Record]:
        times = self.times
        return file_records(
            self._dataset,
            self._reference.schema,
            self._stream,
            PLACE,
            (lambda rows, _: int(times.of(rows).max())) if times else (lambda *_: 0),
            batch=self.batch,
            refusals=self.refusals,
        )
