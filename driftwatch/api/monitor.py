"""Monitoring of a stream in this process, like the daemon does."""

from __future__ import annotations

import time
from collections import deque
from datetime import datetime

from driftwatch.api.samples import Data, samples
from driftwatch.data.codecs import encode
from driftwatch.data.schema import Samples
from driftwatch.errors import DataError
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.alert import Alert
from driftwatch.stream.examples import ExampleRule
from driftwatch.stream.log import Record
from driftwatch.stream.reading import Route
from driftwatch.stream.results import WindowResult
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.windows import StreamTester

TOPIC = "updates"
"""The topic in the offsets of alerts; its messages are batches, or about 2,000 samples of longer ones."""


class Monitor:
    """Watches one stream; made by `Reference.monitor`. Windows, thresholds and alerts are the same as the daemon's.

    Args:
        scorer: of the reference.
        tester: of the stream's windows.
        step: samples per pane.
        examples: which samples alerts point to.
    """

    def __init__(self, scorer: Scorer, tester: StreamTester, step: int, examples: ExampleRule) -> None:
        self._schema = scorer.reference.schema
        self._tester = tester
        routes = {tester.stream: Route(tester.stream, scorer, "npy")}
        self._stage = ScoreStage(routes, step, examples=examples)
        self._offset = 0
        self._windows: tuple[WindowResult, ...] = ()

    def __repr__(self) -> str:
        state = f"alarm on, {self.severity}" if self.firing else "no alarm"
        return f"<driftwatch.Monitor {self.name}: {state}, on at p <= {self.threshold:.3g}>"

    @property
    def name(self) -> str:
        """The name of the stream in alerts."""
        return self._tester.stream

    @property
    def firing(self) -> bool:
        """Whether an alert is firing."""
        return self._tester.firing

    @property
    def severity(self) -> str | None:
        """The severity of the firing alert; None if there is none."""
        return self._tester.severity

    @property
    def threshold(self) -> float:
        """The p-value up to which a window raises an alarm, derived from the false-alarm budget."""
        return self._tester.procedure.control.threshold

    @property
    def windows(self) -> tuple[WindowResult, ...]:
        """The windows that the last update completed, in order."""
        return self._windows

    def update(self, batch: Data, *, time: datetime | None = None) -> list[Alert]:
        """Process the next samples of the stream.

        Args:
            batch: one sample or many, along the first axis or as rows, in order.
            time: their event time, with a time zone; now if None.

        Returns:
            The resulting alerts: an alert fires, gets more severe, or is resolved. Usually none.

        Raises:
            DataError: the batch does not fit the reference, or the time has no zone; nothing of it was processed.
        """
        if time is not None and time.tzinfo is None:
            raise DataError(f"{time} has no zone", where="time", remedy="use time.replace(tzinfo=datetime.UTC), say")
        event_ms = _now_ms() if time is None else round(time.timestamp() * 1000)
        alerts: list[Alert] = []
        windows: list[WindowResult] = []
        for chunk in list(samples(batch, self._schema)):
            for pane in self._stage.work(deque([self._record(chunk, event_ms)])).panes:
                outcome = self._tester.feed(pane)
                alerts += outcome.alerts
                windows += outcome.windows
        self._windows = tuple(windows)
        return alerts

    def _record(self, chunk: Samples, event_ms: int) -> Record:
        value, headers = encode(chunk, self._schema, "npy")
        named = (*headers.items(), ("driftwatch-stream", self.name.encode()))
        record = Record(TOPIC, 0, self._offset, event_ms, None, value, named)
        self._offset += 1
        return record


def _now_ms() -> int:
    return int(time.time() * 1000)
