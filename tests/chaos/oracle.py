"""What should come of an input log: computed by every stage in one process, from first to last, without faults."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

from kafka.consumer.fetcher import ConsumerRecord

from driftwatch.config import DaemonConfig
from driftwatch.daemon import load_references
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.alert import encode_alert
from driftwatch.stream.kafka_batches import record_of
from driftwatch.stream.log import Partition, Record
from driftwatch.stream.pane_codec import encode_pane
from driftwatch.stream.panes import Pane
from driftwatch.stream.positions import Position
from driftwatch.stream.reading import Route
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.sighting import Sighting
from driftwatch.stream.standards import Standard, example_rule, standards_for
from driftwatch.stream.test_role import entries_of
from driftwatch.stream.test_stage import Tests, TestStage
from tests.chaos.comparison import Sequences
from tests.chaos.runs import Run, pane_key

TESTED_AT_ONCE = 500
"""Panes; the results do not depend on it."""

ONE_RUN = (Run(),)
UNSWITCHED: Mapping[str, Sequence[Run]] = MappingProxyType({})

Routes = Mapping[str, Route]


@dataclass
class _CurrentRoutes:
    """The current routes, which can be replaced."""

    routes: Routes

    def now(self) -> Routes:
        """The callback by which a stage gets them."""
        return self.routes


class Oracle:
    """Computes what a daemon's topics must hold.

    Args:
        config: of the daemon.
        others: references that streams may have been compared with instead of the configured one.
    """

    def __init__(self, config: DaemonConfig, others: Sequence[Reference] = ()) -> None:
        self._config = config
        references = load_references(config)
        self._references = {stream.name: references[str(stream.reference)] for stream in config.streams}
        known = (*others, *self._references.values())
        self._scorers = {reference.version: Scorer(reference) for reference in known}
        self._standards = standards_for(config.windows, config.alerts)

    def scored(
        self, messages: Iterable[ConsumerRecord], runs: Mapping[str, Sequence[Run]] = UNSWITCHED
    ) -> tuple[Sequences, Sequences]:
        """Panes and dead letters of an input log.

        Args:
            messages: of the input topic; those of a partition are in order.
            runs: which reference scored which samples, by stream and partition; by default the configured one.

        Returns:
            The panes of each stream and partition in order, and the offsets of each partition's dead letters.
        """
        panes, dead, unusable = Sequences(), Sequences(), set[tuple[int, int]]()
        by_stream: dict[tuple[Partition, str], list[Record]] = {}
        for record in sorted(map(record_of, messages), key=_place):
            by_stream.setdefault((record.topic_partition, record.header["driftwatch-stream"].decode()), []).append(
                record
            )
        for (place, stream), records in by_stream.items():
            for run in runs.get(f"{stream}/{place[1]}", ONE_RUN):
                scored_panes, refused = self._scored(place, stream, records, run)
                for pane in scored_panes:
                    panes.add(pane_key(pane), encode_pane(pane))
                unusable |= {(place[1], offset) for offset in refused}
        for partition, offset in sorted(unusable):
            dead.add(str(partition), str(offset).encode())
        return panes, dead

    def _scored(
        self, place: Partition, stream: str, records: Sequence[Record], run: Run
    ) -> tuple[list[Pane], list[int]]:
        """The panes of a run, and the offsets of messages that cannot be used in it."""
        current = _CurrentRoutes(self._routes(run.reference))
        windows = self._config.windows
        stage = ScoreStage(
            current.routes,
            windows.step,
            tick_ms=windows.tick_ms,
            examples=example_rule(self._config.alerts),
            renew=current.now,
        )
        begin, end = 0, None
        if run.after is not None:
            begin, row = run.after
            stage.assign(place, Position(begin, begin, {stream: (begin, row + 1)}, begun={stream: run.begun}))
        if run.last is not None:
            end = run.last[0] if run.closed_by is None else run.closed_by
        queue = deque(each for each in records if begin <= each.offset and (end is None or each.offset <= end))
        panes, dead = list[Pane](), list[int]()
        while queue:
            work = stage.work(queue)
            panes += work.panes
            dead += [letter.record.offset for letter in work.dead]
        if run.last is not None:
            # Another reference follows, so the waiting samples are closed into a short pane.
            current.routes = self._routes(next(version for version in self._scorers if version != run.reference))
            panes += stage.work(queue).panes
            panes = [pane for pane in panes if pane.last <= run.last]
        return panes, dead

    def tested(self, messages: Sequence[ConsumerRecord]) -> tuple[Sequences, Sequences]:
        """Window results and alerts of each stream.

        With several input partitions, the order of a stream's panes depends on whose transaction was first, not only on
        the input. So this starts from the panes in the order of their topic.

        Args:
            messages: of the panes topic; those of a partition are in order.
        """
        windows, alerts = Sequences(), Sequences()
        for _, run in groupby(sorted(map(record_of, messages), key=_place), key=lambda record: record.topic_partition):
            records = list(run)
            entries = [each for each in entries_of(records) if isinstance(each, Pane | Sighting)]
            panes = [(record.offset, entry) for record, entry in zip(records, entries, strict=True)]
            stage = TestStage(self._standard)
            for start in range(0, len(panes), TESTED_AT_ONCE):
                tested = Tests()
                stage.feed_all(panes[start : start + TESTED_AT_ONCE], tested)
                for window in tested.windows:
                    windows.add(window.stream, window.to_json())
                for alert in tested.alerts:
                    alerts.add(alert.stream, encode_alert(alert))
        return windows, alerts

    def _routes(self, version: str | None) -> Routes:
        return {
            stream.name: Route(
                stream.name, self._scorers[version or self._references[stream.name].version], stream.format
            )
            for stream in self._config.streams
        }

    def _standard(self, stream: str, version: str | None) -> Standard:
        return self._standards.standard(self._scorers[version or self._references[stream].version].reference)


def _place(record: Record) -> tuple[int, int]:
    return record.partition, record.offset
