"""Records to scored panes: decode, choose, cut, score. No Kafka here, no clocks but for timing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from driftwatch.data.codecs import decode, stream_names
from driftwatch.data.schema import Coerced
from driftwatch.data.schema_registry import SchemaRegistry
from driftwatch.errors import MessageError, RegistryError
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.events import (
    UNKNOWN,
    BatchOutcome,
    BatchSeen,
    DeadLettered,
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
from driftwatch.stream.sampling import looked_at, watched
from driftwatch.stream.shedding import Shedder
from driftwatch.tracing import UNTRACED, Span, Tracer, context_of, is_sampled

WORK_BATCHES = 16
"""Of the largest of all streams, after which a unit of work is closed: about a second, so that stopping is quick."""

NAMED = 8
"""Of the configured streams, the most that a dead letter tells."""


@dataclass(frozen=True)
class Route:
    """What becomes of one stream's messages.

    Args:
        stream: its name.
        scorer: of its reference.
        format: of its messages.
        sample_fraction: of its samples to watch.
    """

    stream: str
    scorer: Scorer
    format: str = "auto"
    sample_fraction: float = 1.0


@dataclass(frozen=True)
class DeadLetter:
    """A message that cannot be used, and why."""

    record: Record
    error: MessageError


def dead_lettered(stream: str, record: Record, error: MessageError) -> DeadLettered:
    """What is told of a dead letter."""
    return DeadLettered(stream, error.reason, f"{record.topic}/{record.partition} at {record.offset}: {error}")


@dataclass
class Work:
    """What a unit of work came to; all of it is to be committed at once.

    `trace` is the context of its scoring, and `led` are those of the messages that led to it. `heard` are the offset
    and event time of the newest message of each stream in each partition, of those that came for the first time.
    """

    panes: list[Pane] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    positions: dict[Partition, Position] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    led: list[str] = field(default_factory=list)
    heard: dict[tuple[Partition, str], tuple[int, int]] = field(default_factory=dict)
    trace: str = ""


class ScoreStage:
    """Scores records of any number of partitions and streams.

    Args:
        routes: by the stream's name, to begin with.
        step: samples in a pane.
        tick_ms: the most of event time that a pane may span, milliseconds; None for any.
        examples: which samples of a pane alerts may point at.
        max_message_bytes: longer messages are refused.
        tracer: records what is done with messages whose trace is sampled, and each unit of work.
        registry: that knows the schemas of messages which name one.
        renew: gives the routes as they are now; asked between units of work. The routes stay as they are, if None.
        shedder: decides how much of each partition is looked at; all of it, if None.
        committed: whether positions go beside offsets in Kafka (see `PaneBuilder`).
    """

    def __init__(
        self,
        routes: Mapping[str, Route],
        step: int,
        *,
        tick_ms: int | None = None,
        examples: ExampleRule = POSITIONS_ONLY,
        max_message_bytes: int = 1 << 30,
        tracer: Tracer = UNTRACED,
        registry: SchemaRegistry | None = None,
        renew: Callable[[], Mapping[str, Route]] | None = None,
        shedder: Shedder | None = None,
        committed: bool = True,
    ) -> None:
        self._shedder, self._committed = shedder, committed
        self._told: dict[str, float] = {}
        self._told_crowded: set[Partition] = set()
        self._routes, self._renew = routes, renew
        self._step, self._tick_ms = step, tick_ms
        self._examples = examples
        self._max_message_bytes = max_message_bytes
        self._tracer = tracer
        self._registry = registry
        self._builders: dict[Partition, PaneBuilder] = {}

    def assign(self, place: Partition, position: Position | None) -> None:
        """Takes up a partition where it was left."""
        self._builders[place] = PaneBuilder(place, self._step, position, self._tick_ms, committed=self._committed)

    def revoke(self, places: Sequence[Partition]) -> None:
        """Forgets partitions, and what waited in them: whoever has them next reads it again."""
        for place in places:
            self._builders.pop(place, None)

    def read_to(self, place: Partition, end: int) -> Position:
        """Notes that all messages of a partition before an offset were taken in, and gives the position."""
        builder = self._builders[place]
        builder.read_to(end)
        return builder.position()

    def positions(self, places: Iterable[Partition]) -> dict[Partition, Position]:
        """How far partitions that were assigned are read."""
        return {place: self._builders[place].position() for place in places}

    def work(self, queue: deque[Record], *, give_up: Callable[[], bool] = lambda: False) -> Work:
        """Takes records from the front of a queue, for about a second of scoring.

        Args:
            queue: of partitions that were assigned; what is taken is removed.
            give_up: asked between batches.

        Raises:
            Abandoned: `give_up` said so.
            RegistryError: the first record's schema cannot be had; it is back in the queue.
        """
        work = Work()
        touched = self._take_up_routes(work, give_up)
        most = WORK_BATCHES * max((route.scorer.batch_size for route in self._routes.values()), default=1)
        scoring = self._scoring(give_up)
        samples, decided = 0, set[Partition]()
        started = time.perf_counter()
        while queue and samples < most:
            record = queue.popleft()
            if record.place not in self._builders:
                self.assign(record.place, None)
            builder = self._builders[record.place]
            if record.place not in decided and not builder.repeated(record):
                decided.add(record.place)
                if closed := self._shed(record, builder):
                    touched.add(record.place)
                    scoring.add(closed)
            try:
                cut = [*self._take(record, builder, work), *builder.passed(record)]
            except RegistryError:
                queue.appendleft(record)
                if not touched:
                    raise
                break
            touched.add(record.place)
            scoring.add(cut)
            samples += sum(len(pane.samples) for pane in cut)
        decoded = time.perf_counter()
        work.events.append(StageTimed("decode", decoded - started))
        with self._tracer.span("score", links=work.led, samples=samples, panes=len(scoring)) as span:
            panes, told = scoring.finish()
        work.panes += panes
        if panes:
            work.events += [*told, StageTimed("score", time.perf_counter() - decoded)]
        work.trace = span.context
        work.positions = self.positions(touched)
        work.events += self._fractions()
        work.events += self._crowded(touched)
        return work

    def _crowded(self, places: Iterable[Partition]) -> Iterator[Event]:
        """Partitions that too many streams share, each once."""
        for place in places:
            if (streams := self._builders[place].crowded) and place not in self._told_crowded:
                self._told_crowded.add(place)
                yield PartitionCrowded(*place, streams)

    def _shed(self, record: Record, builder: PaneBuilder) -> list[RawPane]:
        """Decides how much of a partition is looked at from a message on; gives the panes that are closed for it."""
        if self._shedder is None:
            return []
        share = self._shedder.share(record.place, record.offset, record.timestamp_ms, builder.share)
        return list(builder.look_at(share)) if share != builder.share else []

    def _fractions(self) -> Iterator[Event]:
        """What fraction of each stream is watched, if that is another than was told last."""
        part = min((builder.share.part for builder in self._builders.values()), default=1.0)
        for stream, route in self._routes.items():
            fraction = route.sample_fraction * part
            if self._told.get(stream) != fraction:
                self._told[stream] = fraction
                yield SampleFraction(stream, fraction, shedding=part < 1)

    def _take_up_routes(self, work: Work, give_up: Callable[[], bool]) -> set[Partition]:
        """Takes up the routes as they are now, and gives the partitions in which panes were closed short for it.

        A sample is scored by the reference that it was decoded for. What waits of a stream that is watched no more is
        let go.
        """
        if self._renew is None or (routes := self._renew()) is self._routes:
            return set()
        left: list[RawPane] = []
        touched: set[Partition] = set()
        for stream, route in self._routes.items():
            new = routes.get(stream)
            if new is not None and new.scorer.reference.version == route.scorer.reference.version:
                continue
            for place, builder in self._builders.items():
                if (pane := builder.close(stream)) is not None:
                    touched.add(place)
                    left += [pane] if new is not None else []
        scoring = self._scoring(give_up)
        scoring.add(left)
        work.panes, told = scoring.finish()
        work.events += told
        self._routes = routes
        # Who was told has forgotten the streams that were taken out, and those among them that are here again.
        self._told.clear()
        return touched

    def _take(self, record: Record, builder: PaneBuilder, work: Work) -> list[RawPane]:
        """The panes that a message completes; a message that was committed before is not traced again."""
        context = context_of(record.header, record.value)
        trace = context if is_sampled(context) else ""
        tracer = self._tracer if trace and not builder.repeated(record) else UNTRACED
        with tracer.span(
            "decode", parent=trace, topic=record.topic, partition=str(record.partition), offset=record.offset
        ) as span:
            cut = list(self._cut(record, trace, builder, work, span))
            if span.context:
                work.led.append(span.context)
            return cut

    def _cut(self, record: Record, trace: str, builder: PaneBuilder, work: Work, span: Span) -> Iterator[RawPane]:
        route: Route | None = None
        try:
            route = self._route(record)
            if not looked_at(record, builder.share):
                self._note(record, route, "shed", 0, builder, work)
                return
            samples = self._decode(record, route)
        except MessageError as error:
            span.fail(str(error))
            if not builder.repeated(record):
                stream = route.stream if route else UNKNOWN
                work.dead.append(DeadLetter(record, error))
                work.events += [BatchSeen(stream, "dead_letter", 0), dead_lettered(stream, record, error)]
            return
        indices = watched(record, len(samples), route.sample_fraction)
        span.tell(stream=route.stream, samples=len(indices))
        self._note(record, route, "ok" if len(indices) else "skipped", len(indices), builder, work)
        chosen = samples if len(indices) == len(samples) else samples[indices]
        yield from builder.add(record, route.stream, chosen, indices, trace)

    def _note(
        self, record: Record, route: Route, outcome: BatchOutcome, samples: int, builder: PaneBuilder, work: Work
    ) -> None:
        """Counts a message of a stream, if it comes for the first time."""
        if not builder.repeated(record):
            work.events.append(BatchSeen(route.stream, outcome, samples))
            work.heard[record.place, route.stream] = record.offset, record.timestamp_ms

    def _route(self, record: Record) -> Route:
        if record.refused is not None:
            raise record.refused
        if record.size > self._max_message_bytes:
            raise MessageError(
                f"has {record.size} bytes", reason="too_large", remedy=f"at most {self._max_message_bytes}"
            )
        names = stream_names(record.header, record.key, record.topic, record.value)
        for name in names:
            if name in self._routes:
                return self._routes[name]
        raise MessageError(
            f"belongs to no configured stream: {', '.join(map(repr, names))}"[:300],
            reason="unknown_stream",
            remedy=f"set the header driftwatch-stream to a configured one: {', '.join(sorted(self._routes)[:NAMED])}",
        )

    def _decode(self, record: Record, route: Route) -> Coerced:
        return decode(record.value, record.header, route.scorer.reference.schema, route.format, self._registry)

    def _scoring(self, give_up: Callable[[], bool]) -> PaneScoring:
        return PaneScoring(lambda stream: self._routes[stream].scorer, self._step, self._examples, give_up)
