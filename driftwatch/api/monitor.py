"""A stream watched in this process, as the daemon watches one."""

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
from driftwatch.stream.results import WindowResult
from driftwatch.stream.score_stage import Route, ScoreStage
from driftwatch.stream.windows import StreamTester

TOPIC = "updates"
"""Stands for a topic in the offsets that alerts tell: a message is a batch, or about 2,000 samples of a longer one."""


class Monitor:
    """Watches one stream; made by `Reference.monitor`. Windows, thresholds and alerts are those of the daemon.

    Args:
        scorer: of the reference.
        tester: of its windows.
        step: samples in a pane.
        examples: which samples alerts point at.
    """

    def __init__(self, scorer: Scorer, tester: StreamTester, step: int, examples: ExampleRule) -> None:
        self._schema = scorer.reference.schema
        self._tester = tester
        routes = {tester.stream: Route(tester.stream, scorer, "npy")}
        self._stage = ScoreStage(routes, step, examples=examples, max_message_bytes=1 << 40)
        self._offset = 0
        self._windows: tuple[WindowResult, ...] = ()

    def __repr__(self) -> str:
        state = f"alarm on, {self.severity}" if self.firing else "no alarm"
        return f"<driftwatch.Monitor {self.name}: {state}, on at p <= {self.threshold:.3g}>"

    @property
    def name(self) -> str:
        """Of the stream, as alerts tell it."""
        return self._tester.stream

    @property
    def firing(self) -> bool:
        """Whether the alarm is on."""
        return self._tester.firing

    @property
    def severity(self) -> str | None:
        """Of the alarm, while it is on."""
        return self._tester.severity

    @property
    def threshold(self) -> float:
        """The p-value at which a window sets the alarm off: what the budget comes to."""
        return self._tester.procedure.control.threshold

    @property
    def windows(self) -> tuple[WindowResult, ...]:
        """The windows that the last update completed and tested, in order."""
        return self._windows

    def update(self, batch: Data, *, time: datetime | None = None) -> list[Alert]:
        """Takes the next samples of the stream.

        Args:
            batch: one sample or many, along the first axis or as rows, in their order.
            time: at which they came, with its time zone; now if None.

        Returns:
            The alerts that they led to: the alarm is set off, gets more severe, or is resolved. Mostly none.

        Raises:
            DataError: the batch does not fit the reference, or the time has no zone; nothing of it was taken.
        """
        if time is not None and time.tzinfo is None:
            raise DataError(f"{time} has no zone", where="time", remedy="such as time.replace(tzinfo=datetime.UTC)")
        came_ms = _now_ms() if time is None else round(time.timestamp() * 1000)
        alerts: list[Alert] = []
        windows: list[WindowResult] = []
        for chunk in list(samples(batch, self._schema)):
            for pane in self._stage.work(deque([self._record(chunk, came_ms)])).panes:
                outcome = self._tester.feed(pane)
                alerts += outcome.alerts
                windows += outcome.windows
        self._windows = tuple(windows)
        return alerts

    def _record(self, chunk: Samples, came_ms: int) -> Record:
        value, headers = encode(chunk, self._schema, "npy")
        named = (*headers.items(), ("driftwatch-stream", self.name.encode()))
        record = Record(TOPIC, 0, self._offset, came_ms, None, value, named)
        self._offset += 1
        return record


def _now_ms() -> int:
    return int(time.time() * 1000)
