"""The score role: reads the input topic and writes panes, dead letters and offsets in one transaction."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import structlog
from kafka import KafkaConsumer, TopicPartition

from driftwatch.config import KafkaSource
from driftwatch.stream.events import Observer, Progress, StageTimed
from driftwatch.stream.gaps import Gap, encode_gap, find_gap, home
from driftwatch.stream.idle import Idle
from driftwatch.stream.kafka_batches import record_of
from driftwatch.stream.kafka_clients import open_consumer, open_producer, transactional
from driftwatch.stream.kafka_role import KafkaRole
from driftwatch.stream.lag import LagMeter
from driftwatch.stream.log import Outgoing, Partition, Record
from driftwatch.stream.pane_codec import encode_panes
from driftwatch.stream.pane_scoring import Abandoned
from driftwatch.stream.partitions import ANSWER_MS, extents
from driftwatch.stream.positions import Position, parse_position
from driftwatch.stream.quiet_watch import QuietWatch
from driftwatch.stream.score_stage import ScoreStage, Work
from driftwatch.stream.sighting import Sighting, encode_sighting
from driftwatch.stream.subscription import Subscription
from driftwatch.stream.topics import TopicsReady
from driftwatch.stream.transaction import commit
from driftwatch.tracing import UNTRACED, Tracer, trace_headers

FINISH_S = 2.0
"""How long a unit of work may continue after a stop was requested."""

log = structlog.get_logger("driftwatch.score")


class ScoreRole(KafkaRole):
    """Scores the input topic.

    Args:
        source: brokers, topics and group.
        make_stage: makes a new stage for each connection.
        make_watch: makes, for each connection, the watch that detects silent streams.
        identity: transactional id of the producer.
        prepare: called before the first read of each connection; creates and checks topics.
        observer: receives every event.
        tracer: records the commits.
    """

    def __init__(
        self,
        source: KafkaSource,
        make_stage: Callable[[], ScoreStage],
        make_watch: Callable[[], QuietWatch],
        *,
        identity: str,
        prepare: Callable[[], TopicsReady],
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
        """Score until `stop` is set."""
        topics = self._prepare()
        partitions = topics.partitions
        producer = open_producer(self.source, self.name, clients, self._identity)
        consumer = open_consumer(
            self.source,
            self.name,
            clients,
            self.source.group,
            max_poll_records=self.source.max_poll_records,
            max_partition_fetch_bytes=self.source.max_message_bytes,
            **transactional(self.source),
        )
        subscription = self.subscribe(consumer, self.source.topic)
        lag = LagMeter(subscription, self.observe)
        stage, watch = self._make_stage(), self._make_watch()
        self.connected()
        deadline, idle = _Deadline(stop), Idle()
        queue: deque[Record] = deque()
        while not stop.is_set():
            polled = subscription.poll(busy=bool(queue))
            # Read before rebalances are handled: if another one happens meanwhile, the broker refuses commits by this
            # membership.
            member = consumer.group_metadata()
            reassigned, gaps, pinned = self._rebalance(subscription, stage, watch)
            if reassigned:
                idle.interrupt()
                queue = deque(record for record in queue if record.topic_partition not in reassigned)
            if gaps or pinned:
                passed = stage.positions({*pinned, *(gap.topic_partition for gap in gaps)})
                commit(producer, member, self._gap_messages(gaps, partitions), _offsets(passed, subscription))
                for gap in gaps:
                    self.observe(gap.event)
            for partition, messages in polled.items():
                if partition not in reassigned:
                    queue.extend(record_of(message) for message in messages)
            self.observe(Progress("polled", self.name))
            if queue:
                idle.interrupt()
                try:
                    work = stage.work(queue, give_up=deadline.expired)
                except Abandoned:
                    log.info("left unfinished work to the next start", role=self.name)
                    return
                started = time.perf_counter()
                sightings = self._sightings(watch.note(work.newest), partitions)
                with self._tracer.span("commit", parent=work.trace):
                    messages = sightings + _messages(work, self.source, topics)
                    commit(producer, member, messages, _offsets(work.positions, subscription))
                for event in (*work.events, StageTimed("commit", time.perf_counter() - started)):
                    self.observe(event)
            else:
                silent, positions = self._find_silent(consumer, stage, watch)
                if idle.begins():
                    positions |= self._pass_markers(consumer, stage)
                if silent or positions:
                    commit(producer, member, self._sightings(silent, partitions), _offsets(positions, subscription))
            lag.measure(record.topic_partition for record in queue)

    def _find_silent(
        self, consumer: KafkaConsumer, stage: ScoreStage, watch: QuietWatch
    ) -> tuple[list[Sighting], dict[Partition, Position]]:
        """Find silent streams in partitions that are read to their end; also return how far those are read."""
        found, positions = list[Sighting](), dict[Partition, Position]()
        if not (due := watch.due()):
            return found, positions
        partitions = len(consumer.partitions_for_topic(self.source.topic))
        ends = consumer.end_offsets([TopicPartition(*partition) for partition in due], timeout_ms=ANSWER_MS)
        for each, end in ends.items():
            if consumer.position(each, timeout_ms=ANSWER_MS) == end:
                found += watch.silent(each, end, partitions)
                positions[each] = stage.read_to(each, end)
        return found, positions

    def _pass_markers(self, consumer: KafkaConsumer, stage: ScoreStage) -> dict[Partition, Position]:
        """Mark as read what followed the last message of each partition and was none; return the new positions."""
        reached = {each: consumer.position(each, timeout_ms=ANSWER_MS) or 0 for each in consumer.assignment()}
        before = stage.positions(reached)
        return {each: stage.read_to(each, end) for each, end in reached.items() if end > before[each].seen}

    def _sightings(self, sightings: Sequence[Sighting], partitions: int) -> list[Outgoing]:
        return [
            Outgoing(
                self.source.topics.panes, each.stream.encode(), encode_sighting(each), home(each.stream, partitions)
            )
            for each in sightings
        ]

    def _rebalance(
        self, subscription: Subscription, stage: ScoreStage, watch: QuietWatch
    ) -> tuple[set[TopicPartition], list[Gap], list[Partition]]:
        """Resume new partitions exactly where the previous owner stopped, by seeking there.

        Returns:
            Partitions whose polled messages must be dropped, gaps in the partitions taken over, and partitions whose
            start must be committed: one that starts at its end would start at a later one after a restart.
        """
        consumer = subscription.consumer
        revoked, assigned = subscription.take_rebalance()
        stage.revoke(revoked)
        for each in revoked:
            watch.drop(each)
        for each in assigned:
            watch.take_up(each)
        gaps, pinned = list[Gap](), list[Partition]()
        for each, (begin, end) in extents(consumer, assigned).items():
            committed = subscription.committed(each)
            if committed is None:
                first = self._start_of(subscription, each, begin, end)
                position = Position(first, first)
                if self.source.start == "latest":
                    pinned.append(each)
            else:
                previous = parse_position(committed.offset, committed.metadata or "")
                self.require_end(each, end, previous.seen)
                position = previous.within(begin, end)
                if gap := find_gap(each, previous, begin, end):
                    gaps.append(gap)
            stage.assign(each, position)
            consumer.seek(each, position.offset)
        if revoked or assigned:
            log.info("partitions assigned", role=self.name, partitions=[each.partition for each in assigned])
        return {*revoked, *assigned}, gaps, pinned

    def _start_of(self, subscription: Subscription, new: TopicPartition, begin: int, end: int) -> int:
        """Offset at which to start a partition that the group has never read.

        A partition added to a topic that the group already reads starts at its beginning: everything in it is new.
        """
        if self.source.start == "earliest":
            return begin
        numbers = subscription.consumer.partitions_for_topic(new.topic)
        others = [TopicPartition(new.topic, number) for number in numbers if number != new.partition]
        return begin if any(map(subscription.committed, others)) else end

    def _gap_messages(self, gaps: Sequence[Gap], partitions: int) -> list[Outgoing]:
        """Messages that record gaps: one in each partition of the panes topic, and a dead letter."""
        marks = [
            Outgoing(self.source.topics.panes, None, encode_gap(gap), partition=number)
            for gap in gaps
            for number in range(partitions)
        ]
        return marks + [gap.letter(self.source) for gap in gaps]


class _Deadline:
    """Expires `FINISH_S` after a stop was requested."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._stopped_s: float | None = None

    def expired(self) -> bool:
        if not self._stop.is_set():
            return False
        now = time.monotonic()
        self._stopped_s = now if self._stopped_s is None else self._stopped_s
        return now - self._stopped_s > FINISH_S


def _offsets(positions: Mapping[Partition, Position], subscription: Subscription) -> dict[Partition, tuple[int, str]]:
    identity = subscription.identity
    return {partition: (position.offset, position.metadata(identity)) for partition, position in positions.items()}


def _messages(work: Work, source: KafkaSource, topics: TopicsReady) -> list[Outgoing]:
    headers = trace_headers(work.trace)
    panes = [
        Outgoing(
            source.topics.panes, pane.stream.encode(), value, home(pane.stream, topics.partitions), headers=headers
        )
        for pane, value in zip(work.panes, encode_panes(work.panes), strict=True)
    ]
    return panes + [letter.message(source, topics.letter_bytes) for letter in work.dead]
