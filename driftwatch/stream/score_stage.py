"""From records to scored panes: decode, sample, cut, score. Knows nothing of Kafka; uses clocks for timing only."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from driftwatch.data.schema_registry import SchemaRegistry
from driftwatch.data.structured_events import structured_event
from driftwatch.errors import RegistryError
from driftwatch.stream.dead_letters import DeadLetter
from driftwatch.stream.events import (
    BatchSeen,
    Event,
    PartitionCrowded,
    SampleFraction,
    StageTimed,
)
from driftwatch.stream.examples import POSITIONS_ONLY, ExampleRule
from driftwatch.stream.log import Partition, Record
from driftwatch.stream.pane_builder import PaneBuilder
from driftwatch.stream.pane_scoring import PaneScoring
from driftwatch.stream.panes import Pane, RawPane
from driftwatch.stream.positions import Position
from driftwatch.stream.reading import MessageReader, Reading, Route
from driftwatch.stream.shedding import Shedder
from driftwatch.tracing import UNTRACED, Tracer, context_of, is_sampled

WORK_BATCHES = 16
"""A unit of work ends after this many batches of the largest batch size: about a second, so that stopping is quick."""


@dataclass
class Work:
    """The outcome of one unit of work, to be committed as a whole.

    `trace` is the context of the scoring span, and `links` are the contexts of the decoding spans that led to it.
    `newest` holds the offset and event time of the newest message by partition and stream, among those read for the
    first time.
    """

    panes: list[Pane] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    positions: dict[Partition, Position] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    newest: dict[tuple[Partition, str], tuple[int, int]] = field(default_factory=dict)
    trace: str = ""


class ScoreStage:
    """Scores records of any number of partitions and streams.

    Args:
        routes: initial routes, by stream.
        step: samples in a pane.
        tick_ms: the longest event time that a pane may span, milliseconds; None for no limit.
        examples: which samples of a pane alerts may point to.
        max_message_bytes: longer messages are rejected.
        tracer: records messages whose trace is sampled, and each unit of work.
        registry: resolves the schemas that messages name.
        renew: returns the current routes; called between units of work. None if routes never change.
        shedder: decides what share of each partition is processed; None for all of it.
        committed: whether positions are committed with offsets in Kafka (see `PaneBuilder`).
    """

    def __init__(
        self,
        routes: Mapping[str, Route],
        step: int,
        *,
        tick_ms: int | None = None,
        examples: ExampleRule = POSITIONS_ONLY,
        max_message_bytes: float = math.inf,
        tracer: Tracer = UNTRACED,
        registry: SchemaRegistry | None = None,
        renew: Callable[[], Mapping[str, Route]] | None = None,
        shedder: Shedder | None = None,
        committed: bool = True,
    ) -> None:
        self._shedder, self._committed = shedder, committed
        self._reported_fractions: dict[str, float] = {}
        self._reported_crowded: set[Partition] = set()
        self._routes, self._renew = routes, renew
        self._step, self._tick_ms = step, tick_ms
        self._examples = examples
        self._reader = MessageReader(max_message_bytes, registry)
        self._tracer = tracer
        self._builders: dict[Partition, PaneBuilder] = {}
        self._unfinished: dict[Partition, Iterator[RawPane]] = {}

    def assign(self, partition: Partition, position: Position | None) -> None:
        """Resume a partition at a position."""
        self._unfinished.pop(partition, None)
        self._builders[partition] = PaneBuilder(
            partition, self._step, position, self._tick_ms, committed=self._committed
        )

    def revoke(self, partitions: Sequence[Partition]) -> None:
        """Drop partitions and their open panes; the next owner reads those messages again."""
        for partition in partitions:
            self._builders.pop(partition, None)
            self._unfinished.pop(partition, None)

    def read_to(self, partition: Partition, end: int) -> Position:
        """Mark all messages of a partition before an offset as read; return the new position."""
        builder = self._builders[partition]
        builder.read_to(end)
        return builder.position()

    def positions(self, partitions: Iterable[Partition]) -> dict[Partition, Position]:
        """How far assigned partitions are read."""
        return {partition: self._builders[partition].position() for partition in partitions}

    def work(self, queue: deque[Record], *, give_up: Callable[[], bool] = lambda: False) -> Work:
        """Take records from the front of a queue, for about a second of scoring.

        Where positions are committed, the unit may end within a long message: its panes must fit in a transaction. The
        message is then back in the queue, and the next unit continues it.

        Args:
            queue: records of assigned partitions; those taken are removed.
            give_up: called between batches; whether to abandon the work.

        Raises:
            Abandoned: `give_up` returned True.
            RegistryError: the first record's schema cannot be fetched; the record is back in the queue.
        """
        work = Work()
        # The rest of a message is scored by the reference that it was decoded for.
        changed = set[Partition]() if self._unfinished else self._renew_routes(work, give_up)
        limit = WORK_BATCHES * max((route.scorer.batch_size for route in self._routes.values()), default=1)
        scoring = self._scoring(give_up)
        samples, decided = 0, set[Partition]()
        started = time.perf_counter()
        while queue and samples < limit:
            record = queue.popleft()
            partition = record.topic_partition
            if partition not in self._builders:
                self.assign(partition, None)
            builder, cut = self._builders[partition], self._unfinished.pop(partition, None)
            continued = cut is not None
            if cut is None:
                if partition not in decided and not builder.repeated(record):
                    decided.add(partition)
                    if closed := self._shed(record, builder):
                        changed.add(partition)
                        scoring.add(closed)
                try:
                    cut = chain(self._take(record, builder, work), builder.advance(record))
                except RegistryError:
                    queue.appendleft(record)
                    if not changed:
                        raise
                    break
            changed.add(partition)
            for pane in cut:
                scoring.add([pane])
                samples += len(pane.samples)
                if self._committed and samples >= limit and builder.may_pause:
                    self._unfinished[partition] = cut
                    queue.appendleft(record)
                    break
            if continued:
                break  # between two long messages, too, routes may be renewed
        decoded = time.perf_counter()
        work.events.append(StageTimed("decode", decoded - started))
        with self._tracer.span("score", links=work.links, samples=samples, panes=len(scoring)) as span:
            panes, events = scoring.finish()
        work.panes += panes
        if panes:
            work.events += [*events, StageTimed("score", time.perf_counter() - decoded)]
        work.trace = span.context
        work.positions = self.positions(changed)
        work.events += self._fractions()
        work.events += self._crowded(changed)
        return work

    def _crowded(self, partitions: Iterable[Partition]) -> Iterator[Event]:
        """Report, once each, partitions that too many streams share."""
        for partition in partitions:
            if (streams := self._builders[partition].crowded) and partition not in self._reported_crowded:
                self._reported_crowded.add(partition)
                yield PartitionCrowded(*partition, streams)

    def _shed(self, record: Record, builder: PaneBuilder) -> list[RawPane]:
        """Update the share of a partition from a message on; return the panes that this closes."""
        if self._shedder is None:
            return []
        share = self._shedder.share(record.topic_partition, record.offset, record.timestamp_ms, builder.share)
        return list(builder.set_share(share)) if share != builder.share else []

    def _fractions(self) -> Iterator[Event]:
        """Report the fraction of each stream that is watched, if it has changed."""
        part = min((builder.share.part for builder in self._builders.values()), default=1.0)
        for stream, route in self._routes.items():
            fraction = route.sample_fraction * part
            if self._reported_fractions.get(stream) != fraction:
                self._reported_fractions[stream] = fraction
                yield SampleFraction(stream, fraction, shedding=part < 1)

    def _renew_routes(self, work: Work, give_up: Callable[[], bool]) -> set[Partition]:
        """Switch to the current routes; return the partitions in which this closed panes short.

        A sample is scored by the reference that it was decoded for. Open panes of a stream that is no longer watched
        are dropped.
        """
        if self._renew is None or (routes := self._renew()) is self._routes:
            return set()
        closed: list[RawPane] = []
        changed: set[Partition] = set()
        for stream, route in self._routes.items():
            new = routes.get(stream)
            if new is not None and new.scorer.reference.version == route.scorer.reference.version:
                continue
            for partition, builder in self._builders.items():
                if (pane := builder.close(stream)) is not None:
                    changed.add(partition)
                    closed += [pane] if new is not None else []
        scoring = self._scoring(give_up)
        scoring.add(closed)
        work.panes, events = scoring.finish()
        work.events += events
        self._routes = routes
        # Observers have forgotten streams that were removed, including any that are back.
        self._reported_fractions.clear()
        return changed

    def _take(self, record: Record, builder: PaneBuilder, work: Work) -> Iterator[RawPane]:
        """The panes that a message completes, to be cut; one that was committed before is not traced or counted."""
        event = structured_event(record.value, record.header)
        context, repeated = context_of(record.header, event), builder.repeated(record)
        trace = context if is_sampled(context) else ""
        tracer = self._tracer if trace and not repeated else UNTRACED
        with tracer.span(
            "decode", parent=trace, topic=record.topic, partition=str(record.partition), offset=record.offset
        ) as span:
            read = self._reader.read(record, event, self._routes, builder.share)
            if read.error is not None:
                span.fail(str(read.error))
            elif read.outcome != "shed":
                span.set(stream=read.stream, samples=len(read.indices))
            if not repeated:
                self._count(record, read, work)
            if span.context:
                work.links.append(span.context)
            return builder.add(record, read.stream, read.samples, read.indices, trace)

    def _count(self, record: Record, read: Reading, work: Work) -> None:
        work.events.append(BatchSeen(read.stream, read.outcome, len(read.indices)))
        if read.error is not None:
            letter = DeadLetter(record, read.error)
            work.dead.append(letter)
            work.events.append(letter.event(read.stream))
        elif read.outcome != "tombstone":
            work.newest[record.topic_partition, read.stream] = record.offset, record.timestamp_ms

    def _scoring(self, give_up: Callable[[], bool]) -> PaneScoring:
        return PaneScoring(lambda stream: self._routes[stream].scorer, self._step, self._examples, give_up)
