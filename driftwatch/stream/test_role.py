"""The test role: reads panes and writes window results, alerts, policy states and offsets in one transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial

import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import ConsumerGroupMetadata

from driftwatch.config import KafkaSource
from driftwatch.errors import MessageError
from driftwatch.stream import announcement
from driftwatch.stream.alert import CONTENT_TYPE
from driftwatch.stream.dead_letters import DeadLetter
from driftwatch.stream.events import (
    UNKNOWN,
    AlertRecalled,
    Observer,
    Progress,
    StageTimed,
    StreamsHeld,
)
from driftwatch.stream.formats import NewerFormatError
from driftwatch.stream.gaps import Gap, decode_gap, find_gap, is_gap
from driftwatch.stream.idle import Idle
from driftwatch.stream.kafka_batches import record_of
from driftwatch.stream.kafka_clients import open_consumer, open_producer, transactional
from driftwatch.stream.kafka_role import KafkaRole
from driftwatch.stream.lag import LagMeter
from driftwatch.stream.log import Outgoing, Partition, Record
from driftwatch.stream.pane_codec import decode_panes
from driftwatch.stream.panes import Pane
from driftwatch.stream.partitions import ANSWER_MS, end_of, extents, read_to_end
from driftwatch.stream.positions import Position
from driftwatch.stream.rewind import parse_rewind, rewind_metadata
from driftwatch.stream.sighting import Sighting, decode_sighting, is_sighting
from driftwatch.stream.state_topic import StateTopic, state_messages
from driftwatch.stream.subscription import Subscription
from driftwatch.stream.switching import FindStandard
from driftwatch.stream.test_stage import Entry, Tests, TestStage
from driftwatch.stream.topics import TopicsReady
from driftwatch.stream.transaction import commit
from driftwatch.stream.waiting import Waiting, Want
from driftwatch.tracing import UNTRACED, Tracer, context_of, trace_headers

MAX_POLL_PANES = 200
RECALLED = 100
"""Offsets to read back in each partition of the alerts topic; every second one is a transaction marker."""

Offsets = dict[Partition, tuple[int, str]]
"""Offset and metadata to commit, by partition."""

log = structlog.get_logger("driftwatch.test")


class TestRole(KafkaRole):
    """Tests the panes topic.

    Args:
        source: brokers, topics and group; the role's consumer group is the source's with the suffix ``.test``.
        find: looks up the standard that a stream is tested against.
        want: requests references that are missing here.
        patience_s: returns how long panes wait for such a reference.
        alerts_topic: topic for alerts.
        identity: transactional id of the producer.
        prepare: called before the first read of each connection; creates and checks topics.
        observer: receives every event.
        tracer: records tests, commits and alerts.
    """

    __test__ = False

    def __init__(
        self,
        source: KafkaSource,
        find: FindStandard,
        *,
        want: Want,
        patience_s: Callable[[], float],
        alerts_topic: str,
        identity: str,
        prepare: Callable[[], TopicsReady],
        observer: Observer,
        tracer: Tracer = UNTRACED,
    ) -> None:
        super().__init__("test", source, observer)
        self._tracer = tracer
        self._find = find
        self._want, self._patience_s = want, patience_s
        self._alerts_topic = alerts_topic
        self._identity = identity
        self._prepare = prepare

    def session(self, stop: threading.Event, clients: ExitStack) -> None:
        """Test until `stop` is set."""
        topics = self._prepare()
        producer = open_producer(self.source, self.name, clients, self._identity)
        open_one = partial(open_consumer, self.source, self.name, clients)
        consumer = open_one(f"{self.source.group}.test", max_poll_records=MAX_POLL_PANES, **transactional(self.source))
        reader, ends = open_one(None), open_one(None, isolation_level="read_uncommitted")
        stored = StateTopic(self.source.topics.state, topics.partitions, reader, ends)
        self._recall(reader)
        subscription = self.subscribe(consumer, self.source.topics.panes)
        lag = LagMeter(subscription, self.observe)
        stages: dict[TopicPartition, TestStage] = {}
        waiting = Waiting(consumer, self._want, self._patience_s, self.observe)
        clients.callback(waiting.close)
        ready, reported, idle = False, None, Idle()
        while not stop.is_set():
            polled = subscription.poll()
            # Read before rebalances are handled: if another one happens meanwhile, the broker refuses commits by this
            # membership.
            member = consumer.group_metadata()
            reassigned, gaps = self._rebalance(subscription, stored, stages, waiting)
            if gaps:
                self._skip_gaps(gaps, producer, member, subscription.identity)
            if not ready and subscription.settled:
                # Only now are the alarms known that were already active.
                ready = True
                self.connected()
            self.observe(Progress("polled", self.name))
            waiting.look(lambda partition, pane: stages[partition].lacks(pane))
            read = {
                partition: list(map(record_of, polled[partition]))
                for partition in polled
                if partition not in reassigned
            }
            commit_all = partial(commit, producer, member)
            if read or reassigned:
                idle.interrupt()
            if read:
                self._work(read, stages, waiting, subscription.identity, topics.letter_bytes, commit_all)
            elif idle.begins() and (offsets := self._pass_markers(subscription, stages)):
                commit_all([], offsets)
            if subscription.settled:
                held = frozenset[str]().union(*(stage.streams for stage in stages.values()))
                if held != reported:
                    reported = held
                    self.observe(StreamsHeld(held))
            lag.measure()

    def _pass_markers(self, subscription: Subscription, stages: Mapping[TopicPartition, TestStage]) -> Offsets:
        """Mark as read what followed the last message of each partition and was none; return what to commit."""
        offsets: Offsets = {}
        for each, stage in stages.items():
            end = subscription.consumer.position(each, timeout_ms=ANSWER_MS) or 0
            if end > stage.next_offset:
                stage.advance(end - 1)
                offsets[each] = (end, rewind_metadata(stage.rewind, subscription.identity))
        return offsets

    def _work(
        self,
        read: Mapping[TopicPartition, Sequence[Record]],
        stages: Mapping[TopicPartition, TestStage],
        waiting: Waiting,
        identity: str,
        letter_bytes: int,
        commit_all: Callable[[Sequence[Outgoing], Offsets], None],
    ) -> None:
        """Test panes, and commit the results."""
        started = time.perf_counter()
        tests, outgoing, offsets = Tests(), list[Outgoing](), Offsets()
        scored = [context_of(record.header) for records in read.values() for record in records]
        with self._tracer.span("test", links=scored, panes=len(scored)) as span:
            tests.trace = span.context
            for partition, records in read.items():
                stage = stages[partition]
                before = stage.next_offset
                dead = self._feed(stage, partition, records, waiting, tests)
                outgoing += [letter.message(self.source, letter_bytes) for letter in dead]
                states, tests.states = tests.states, {}
                outgoing += state_messages(self.source.topics.state, states, partition.partition)
                if stage.next_offset > before:
                    offsets[partition] = (stage.next_offset, rewind_metadata(stage.rewind, identity))
        if offsets:
            outgoing += self._results(tests)
            tests.events.append(StageTimed("test", time.perf_counter() - started))
            with self._tracer.span("commit", parent=tests.trace):
                commit_all(outgoing, offsets)
        for event in tests.events:
            self.observe(event)

    def _feed(
        self,
        stage: TestStage,
        partition: TopicPartition,
        records: Sequence[Record],
        waiting: Waiting,
        tests: Tests,
    ) -> list[DeadLetter]:
        """Feed records to a stage, in runs as long as gaps allow; return dead letters for the rest.

        Stops before the first pane whose reference is missing here: the partition waits for it.
        """
        run, dead = list[tuple[int, Entry]](), list[DeadLetter]()
        for record, entry in zip(records, entries_of(records), strict=True):
            if isinstance(entry, Gap):
                stage.feed_all(run, tests)
                run = []
                stage.restart_windows(record.offset, entry.topic_partition)
                continue
            error = entry if isinstance(entry, MessageError) else None
            if isinstance(entry, Pane) and record.offset >= stage.tested:
                error = stage.unknown(entry)
                if error is None and stage.lacks(entry):
                    waiting.hold(partition, record.offset, entry)
                    break
            if error is not None:
                if record.offset >= stage.next_offset:
                    letter = DeadLetter(record, error)
                    tests.events.append(letter.event(UNKNOWN))
                    dead.append(letter)
                stage.advance(record.offset)
            elif not isinstance(entry, MessageError):
                run.append((record.offset, entry))
        stage.feed_all(run, tests)
        return dead

    def _results(self, tests: Tests) -> list[Outgoing]:
        windows = [Outgoing(self.source.topics.windows, each.stream.encode(), each.to_json()) for each in tests.windows]
        alerts = [
            Outgoing(
                self._alerts_topic,
                announcement.key_of(each).encode(),
                announcement.encode(each),
                headers=(("content-type", CONTENT_TYPE.encode()), *trace_headers(each.announced_in)),
            )
            for each in tests.alerts
        ]
        return windows + alerts

    def _rebalance(
        self,
        subscription: Subscription,
        stored: StateTopic,
        stages: dict[TopicPartition, TestStage],
        waiting: Waiting,
    ) -> tuple[set[TopicPartition], list[Gap]]:
        """Resume new partitions: read policy states from their topic, and rewind so that windows are refilled.

        Returns:
            Partitions whose polled messages must be dropped, and gaps in the partitions taken over.
        """
        consumer = subscription.consumer
        revoked, assigned = subscription.take_rebalance()
        waiting.forget([*revoked, *assigned])
        for each in revoked:
            stages.pop(each, None)
        gaps: list[Gap] = []
        for each, (begin, end) in extents(consumer, assigned).items():
            committed = subscription.committed(each)
            tested, rewind, start = 0, 0, begin
            if committed is not None:
                self.require_end(each, end, committed.offset)
                previous = Position(committed.offset, committed.offset)
                if gap := find_gap(each, previous, begin, end):
                    gaps.append(gap)
                tested, rewind = previous.within(begin, end).offset, parse_rewind(committed.metadata or "")
                # Windows start empty after a gap, as they do after one in the input.
                start = tested if gap else max(begin, committed.offset - rewind)
            # Where the panes topic is new, what fires in the state topic does so still.
            states = stored.read(each.partition)
            if rewind and not states:
                log.error(
                    "policy states are gone: alarms begin anew",
                    topic=self.source.topics.state,
                    partition=each.partition,
                )
            stage = stages[each] = TestStage(self._find, tested=tested, states=states, tracer=self._tracer)
            for event in stage.begun:
                self.observe(event)
            consumer.seek(each, start)
        if revoked or assigned:
            log.info("partitions assigned", role=self.name, partitions=[each.partition for each in assigned])
        return {*revoked, *assigned}, gaps

    def _skip_gaps(
        self, gaps: Sequence[Gap], producer: KafkaProducer, member: ConsumerGroupMetadata, identity: str
    ) -> None:
        """Record gaps as dead letters and commit the offsets after them, in one transaction."""
        offsets: Offsets = {}
        for gap in gaps:
            offsets[gap.topic_partition] = (
                gap.next if gap.why == "retention" else gap.first,
                rewind_metadata(0, identity),
            )
        commit(producer, member, [gap.letter(self.source) for gap in gaps], offsets)
        for gap in gaps:
            self.observe(gap.event)

    def _recall(self, reader: KafkaConsumer) -> None:
        """Report the last alerts of each partition, so that a restarted daemon shows which are active."""
        for number in sorted(reader.partitions_for_topic(self._alerts_topic) or ()):
            partition = TopicPartition(self._alerts_topic, number)
            for message in read_to_end(reader, partition, end_of(reader, partition), last=RECALLED):
                # The sinks report messages that cannot be decoded.
                with suppress(MessageError, NewerFormatError):
                    self.observe(AlertRecalled(announcement.decode(message.value or b"")))


def entries_of(records: Sequence[Record]) -> list[Entry | Gap | MessageError]:
    """What the messages of the panes log hold; in place of those that hold nothing, the reasons."""
    others = {place: other for place, record in enumerate(records) if (other := _other_than_pane(record.value))}
    packed = [each for place, each in enumerate(records) if place not in others]
    panes = iter(decode_panes((each.value, each.timestamp_ms, each.offset) for each in packed))
    return [others[place] if place in others else next(panes) for place in range(len(records))]


def _other_than_pane(value: bytes) -> Sighting | Gap | MessageError | None:
    """What a message holds that is no pane; None if it should be one."""
    try:
        if is_gap(value):
            return decode_gap(value)
        return decode_sighting(value) if is_sighting(value) else None
    except MessageError as error:
        return error
