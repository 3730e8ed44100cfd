"""The score role: reads the input topic, and writes panes, dead letters and offsets in one transaction."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import structlog
from kafka import KafkaConsumer, TopicPartition

from driftwatch.config import KafkaSource
from driftwatch.stream.events import MessagesGone, Observer, Progress, StageTimed
from driftwatch.stream.gaps import Gap, encode_gap, find_gap, home
from driftwatch.stream.kafka_clients import (
    ANSWER_MS,
    FETCH_MAX_BYTES,
    FETCH_MIN_BYTES,
    Assignment,
    KafkaRole,
    record_of,
)
from driftwatch.stream.log import Partition, Record
from driftwatch.stream.pane_codec import encode_panes
from driftwatch.stream.pane_scoring import Abandoned
from driftwatch.stream.positions import Position, parse_position
from driftwatch.stream.quiet_watch import QuietWatch
from driftwatch.stream.score_stage import DeadLetter, ScoreStage, Work
from driftwatch.stream.sighting import Sighting, encode_sighting
from driftwatch.stream.transaction import Outgoing, commit
from driftwatch.tracing import UNTRACED, Tracer, trace_headers

FINISH_S = 2.0
"""How long a unit of work may go on after a stop was asked for."""

log = structlog.get_logger("driftwatch.score")


class ScoreRole(KafkaRole):
    """Scores the input topic.

    Args:
        source: brokers, topics and group.
        make_stage: a fresh stage, for each connection.
        make_watch: likewise, that finds streams from which nothing comes any more.
        identity: of the transactional producer.
        prepare: called before the first read of each connection; makes topics, and says over how many partitions
            streams are spread.
        observer: told of everything.
        tracer: records the commits.
    """

    def __init__(
        self,
        source: KafkaSource,
        make_stage: Callable[[], ScoreStage],
        make_watch: Callable[[], QuietWatch],
        *,
        identity: str,
        prepare: Callable[[], int],
        observer: Observer,
        tracer: Tracer = UNTRACED,
    ) -> None:
        super().__init__("score", source, observer)
        self._tracer = tracer
        self._make_stage = make_stage
        self._make_watch = make_watch
        self._identity = identity
        self._prepare = prepare

    def session(self, stop: threading.Event, clients: ExitStack) -> None:
        """Scores until told to stop."""
        spread = self._prepare()
        producer = self.producer(clients, self._identity)
        consumer = self.consumer(
            clients,
            self.source.group,
            auto_offset_reset="none",
            max_poll_records=self.source.max_poll_records,
            max_partition_fetch_bytes=self.source.max_message_bytes,
            fetch_max_bytes=FETCH_MAX_BYTES,
            fetch_min_bytes=FETCH_MIN_BYTES,
            fetch_max_wait_ms=self.source.fetch_max_wait_ms,
        )
        assignment = self.subscribe(consumer, self.source.topic)
        stage, watch = self._make_stage(), self._make_watch()
        self.connected()
        deadline = _Deadline(stop)
        queue: deque[Record] = deque()
        while not stop.is_set():
            polled = self.poll(consumer, busy=bool(queue))
            # Before rebalances are acted on: should one more come about, this membership commits nothing.
            member = consumer.group_metadata()
            moved, gaps, begun = self._rebalance(consumer, assignment, stage, watch)
            if moved:
                queue = deque(record for record in queue if TopicPartition(*record.place) not in moved)
            if gaps or begun:
                marks = self._marks(gaps, spread)
                commit(producer, member, marks, _offsets(stage.positions({*begun, *(gap.place for gap in gaps)})))
                for gap in gaps:
                    self.observe(MessagesGone(gap.topic, gap.partition, gap.first, gap.count, gap.why))
            for place, messages in polled.items():
                if place not in moved:
                    queue.extend(record_of(message) for message in messages)
            self.observe(Progress("polled", self.name))
            if queue:
                try:
                    work = stage.work(queue, give_up=deadline.passed)
                except Abandoned:
                    log.info("left unfinished work to the next start", role=self.name)
                    return
                started = time.perf_counter()
                sightings = self._sightings(watch.heard(work.heard), spread)
                with self._tracer.span("commit", parent=work.trace):
                    messages = sightings + _messages(work, self.source, spread)
                    commit(producer, member, messages, _offsets(work.positions))
                for event in (*work.events, StageTimed("commit", time.perf_counter() - started)):
                    self.observe(event)
            else:
                silent, positions = self._silences(consumer, stage, watch)
                if silent:
                    commit(producer, member, self._sightings(silent, spread), _offsets(positions))
            self.measure_lag(consumer, (record.place for record in queue))

    def _silences(
        self, consumer: KafkaConsumer, stage: ScoreStage, watch: QuietWatch
    ) -> tuple[list[Sighting], dict[Partition, Position]]:
        """Streams that are found silent, if all that was polled is dealt with; and where the partitions are read to."""
        found, positions = list[Sighting](), dict[Partition, Position]()
        if not (due := watch.due()):
            return found, positions
        partitions = len(consumer.partitions_for_topic(self.source.topic))
        ends = consumer.end_offsets([TopicPartition(*place) for place in due], timeout_ms=ANSWER_MS)
        for each, end in ends.items():
            if consumer.position(each, timeout_ms=ANSWER_MS) == end:
                place = (each.topic, each.partition)
                found += watch.silent(place, end, partitions)
                positions[place] = stage.read_to(place, end)
        return found, positions

    def _sightings(self, sightings: Sequence[Sighting], spread: int) -> list[Outgoing]:
        return [
            Outgoing(self.source.topics.panes, each.stream.encode(), encode_sighting(each), home(each.stream, spread))
            for each in sightings
        ]

    def _rebalance(
        self, consumer: KafkaConsumer, assignment: Assignment, stage: ScoreStage, watch: QuietWatch
    ) -> tuple[set[TopicPartition], list[Gap], list[Partition]]:
        """Takes up new partitions exactly where they were left; what was polled of them is read again from there.

        Returns:
            Partitions of which what was polled does not count, what is gone of those taken up, and those whose
            beginning is to be kept, since messages before it are left out on purpose.
        """
        revoked, assigned = assignment.take()
        stage.revoke([(each.topic, each.partition) for each in revoked])
        for each in revoked:
            watch.drop((each.topic, each.partition))
        for each in assigned:
            watch.take_up((each.topic, each.partition))
        gaps, begun = list[Gap](), list[Partition]()
        for each, (begin, end) in self.extents(consumer, assigned).items():
            place = (each.topic, each.partition)
            committed = self.committed(consumer, each)
            if committed is None:
                first = self._first(consumer, each, begin, end)
                position = Position(first, first)
                if first > begin:
                    begun.append(place)
            else:
                left = parse_position(committed.offset, committed.metadata or "")
                self.require_end(each, end, left.seen)
                position = left.within(begin, end)
                if gap := find_gap(place, left, begin, end):
                    gaps.append(gap)
            stage.assign(place, position)
            consumer.seek(each, position.offset)
        if revoked or assigned:
            log.info("partitions assigned", role=self.name, partitions=[each.partition for each in assigned])
        return {*revoked, *assigned}, gaps, begun

    def _first(self, consumer: KafkaConsumer, new: TopicPartition, begin: int, end: int) -> int:
        """Where a partition begins that the group has never read.

        One that was added to a topic which the group reads is read from its beginning: it has only what came since.
        """
        if self.source.start == "earliest":
            return begin
        others = [TopicPartition(new.topic, number) for number in consumer.partitions_for_topic(new.topic)]
        return begin if any(self.committed(consumer, other) for other in others if other != new) else end

    def _marks(self, gaps: Sequence[Gap], spread: int) -> list[Outgoing]:
        """What is written of gaps: a mark in each partition of the panes topic, and a dead letter."""
        marks = [
            Outgoing(self.source.topics.panes, None, encode_gap(gap), partition=number)
            for gap in gaps
            for number in range(spread)
        ]
        return marks + [gap.letter(self.source) for gap in gaps]


class _Deadline:
    """Passes a while after a stop was asked for."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._asked: float | None = None

    def passed(self) -> bool:
        if not self._stop.is_set():
            return False
        now = time.monotonic()
        self._asked = now if self._asked is None else self._asked
        return now - self._asked > FINISH_S


def _offsets(positions: Mapping[Partition, Position]) -> dict[Partition, tuple[int, str]]:
    return {place: (position.offset, position.metadata()) for place, position in positions.items()}


def _messages(work: Work, source: KafkaSource, spread: int) -> list[Outgoing]:
    headers = trace_headers(work.trace)
    panes = [
        Outgoing(source.topics.panes, pane.stream.encode(), value, home(pane.stream, spread), headers=headers)
        for pane, value in zip(work.panes, encode_panes(work.panes), strict=True)
    ]
    return panes + [dead_letter(each, source) for each in work.dead]


def dead_letter(letter: DeadLetter, source: KafkaSource) -> Outgoing:
    """The message as it came, with headers that say where it came from and what is wrong with it.

    What is too large of it is left out, be it body or key and headers: the topic would not take it.
    """
    record = letter.record
    told = {
        "driftwatch-reason": letter.error.reason,
        "driftwatch-error": str(letter.error)[:1000],
        "driftwatch-topic": record.topic,
        "driftwatch-partition": str(record.partition),
        "driftwatch-offset": str(record.offset),
        "driftwatch-bytes": str(len(record.value)),
    }
    labelled = record.size - len(record.value) <= source.max_message_bytes
    return Outgoing(
        source.topics.dead_letters,
        record.key if labelled else None,
        record.value if letter.error.reason != "too_large" else b"",
        headers=(*(record.headers if labelled else ()), *((name, text.encode()) for name, text in told.items())),
    )
