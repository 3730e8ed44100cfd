"""What an input log comes to: every stage in one process, from the first message to the last, without a fault."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import groupby

from kafka.consumer.fetcher import ConsumerRecord

from driftwatch.config import DaemonConfig
from driftwatch.daemon import load_references
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.alert import encode_alert
from driftwatch.stream.kafka_clients import record_of
from driftwatch.stream.log import Record
from driftwatch.stream.monitor import example_rule, tester_factory
from driftwatch.stream.pane_codec import decode_pane, encode_pane
from driftwatch.stream.panes import Pane
from driftwatch.stream.score_stage import Route, ScoreStage
from driftwatch.stream.test_stage import Tests, TestStage
from driftwatch.stream.windows import Standard
from tests.chaos.comparison import Sequences

TESTED_AT_ONCE = 500
"""Panes; the results are the same for any number."""


class Oracle:
    """Says what a daemon's topics must hold.

    Args:
        config: of the daemon.
        earlier: references that streams were compared with before those of the configuration.
    """

    def __init__(self, config: DaemonConfig, earlier: Sequence[Reference] = ()) -> None:
        self._config = config
        self._earlier = {reference.version: reference for reference in earlier}
        references = load_references(config)
        self._references = {stream.name: references[str(stream.reference)] for stream in config.streams}
        self._factory = tester_factory(config.windows, config.alerts)

    def scored(self, messages: Iterable[ConsumerRecord]) -> tuple[Sequences, Sequences]:
        """Panes and dead letters of an input log.

        Args:
            messages: of the input topic, those of a partition in their order.

        Returns:
            The panes of each stream and partition in their order, and the offsets of each partition's dead letters.
        """
        panes, dead = Sequences(), Sequences()
        for _, records in groupby(sorted(map(record_of, messages), key=_place), key=lambda record: record.place):
            stage, queue = self._score_stage(), deque(records)
            while queue:
                work = stage.work(queue)
                for pane in work.panes:
                    panes.add(pane_key(pane), encode_pane(pane))
                for letter in work.dead:
                    dead.add(str(letter.record.partition), str(letter.record.offset).encode())
        return panes, dead

    def tested(self, messages: Sequence[ConsumerRecord]) -> tuple[Sequences, Sequences]:
        """Window results and alerts of each stream.

        With several input partitions the order of a stream's panes is not the input's to say: it is whose transaction
        came first. So this begins with the panes as they are in their topic.

        Args:
            messages: of the panes topic, those of a partition in their order.
        """
        windows, alerts = Sequences(), Sequences()
        for _, run in groupby(sorted(map(record_of, messages), key=_place), key=lambda record: record.place):
            panes = [(record.offset, decode_pane(record.value)) for record in run]
            stage = TestStage(self._standard)
            for start in range(0, len(panes), TESTED_AT_ONCE):
                came = Tests()
                stage.feed_all(panes[start : start + TESTED_AT_ONCE], came)
                for window in came.windows:
                    windows.add(window.stream, window.to_json())
                for alert in came.alerts:
                    alerts.add(alert.stream, encode_alert(alert))
        return windows, alerts

    def _score_stage(self) -> ScoreStage:
        routes = {
            stream.name: Route(stream.name, Scorer(self._references[stream.name]), stream.format)
            for stream in self._config.streams
        }
        return ScoreStage(routes, self._config.windows.step, examples=example_rule(self._config.alerts))

    def _standard(self, stream: str, version: str | None) -> Standard:
        return self._factory.standard(self._earlier.get(version or "", self._references[stream]))


def pane_key(pane: Pane) -> str:
    """Within which panes have an order that the input log alone decides."""
    return f"{pane.stream}/{pane.partition}"


def _place(record: Record) -> tuple[int, int]:
    return record.partition, record.offset
