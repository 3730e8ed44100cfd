"""The test role: reads panes and writes window results, alerts, policy states and offsets in one transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import orjson
import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import ConsumerGroupMetadata

from driftwatch.config import KafkaSource
from driftwatch.errors import MessageError, SourceError
from driftwatch.stream import announcement
from driftwatch.stream.alert import CONTENT_TYPE
from driftwatch.stream.events import (
    UNKNOWN,
    AlertRecalled,
    MessagesGone,
    Observer,
    Progress,
    StageTimed,
    StreamsHeld,
)
from driftwatch.stream.formats import NewerFormatError, require_format
from driftwatch.stream.gaps import Gap, decode_gap, find_gap, home, is_gap
from driftwatch.stream.kafka_batches import record_of
from driftwatch.stream.kafka_clients import open_consumer, open_producer, transactional
from driftwatch.stream.kafka_role import KafkaRole
from driftwatch.stream.lag import LagMeter
from driftwatch.stream.log import Partition, Record
from driftwatch.stream.pane_codec import decode_pane
from driftwatch.stream.panes import Pane
from driftwatch.stream.partitions import committed_offset, end_of, extents, read_to_end
from driftwatch.stream.positions import Position
from driftwatch.stream.score_role import dead_letter
from driftwatch.stream.score_stage import DeadLetter, dead_lettered
from driftwatch.stream.sighting import decode_sighting, is_sighting
from driftwatch.stream.subscription import Subscription
from driftwatch.stream.switching import FindStandard
from driftwatch.stream.test_stage import Entry, Tests, TestStage
from driftwatch.stream.transaction import Outgoing, commit
from driftwatch.stream.waiting import Waiting, Want
from driftwatch.tracing import UNTRACED, Tracer, context_of, trace_headers

MAX_POLL_PANES = 200
REWIND_FORMAT = 1
"""Format of the metadata committed with an offset; format 1 carries no number."""

RECALLED = 100
"""Offsets to read back in each partition of the alerts topic; every second one is a transaction marker."""

States = Mapping[str, Mapping[str, Any]]
"""Policy states by stream."""

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
        prepare: called before the first read of each connection; creates topics and returns the number of partitions
            that streams are spread over.
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
        prepare: Callable[[], int],
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
        partitions = self._prepare()
        producer = open_producer(self.source, self.name, clients, self._identity)
        open_one = partial(open_consumer, self.source, self.name, clients)
        consumer = open_one(f"{self.source.group}.test", max_poll_records=MAX_POLL_PANES, **transactional(self.source))
        reader, ends = open_one(None), open_one(None, isolation_level="read_uncommitted")
        self._recall(reader)
        subscription = self.subscribe(consumer, self.source.topics.panes)
        lag = LagMeter(subscription, self.observe)
        stages: dict[int, TestStage] = {}
        self._waiting = Waiting(self._want, self._patience_s, self.observe)
        clients.callback(self._waiting.close)
        ready, reported = False, None
        while not stop.is_set():
            polled = subscription.poll()
            # Read before rebalances are handled: if another one happens meanwhile, the broker refuses commits by this
            # membership.
            member = consumer.group_metadata()
            read_states = partial(self._read_states, reader, ends, partitions)
            reassigned, gaps = self._rebalance(subscription, read_states, stages)
            if gaps:
                self._skip_gaps(gaps, producer, member)
            if not ready and subscription.settled:
                # Only now are the alarms known that were already active.
                ready = True
                self.connected()
            self.observe(Progress("polled", self.name))
            self._waiting.look(consumer, lambda place, pane: stages[place.partition].lacks(pane))
            read = {place: list(map(record_of, polled[place])) for place in polled if place not in reassigned}
            if read:
                self._work(read, stages, consumer, partial(commit, producer, member))
            if subscription.settled:
                held = frozenset[str]().union(*(stage.streams for stage in stages.values()))
                if held != reported:
                    reported = held
                    self.observe(StreamsHeld(held))
            lag.measure()

    def _work(
        self,
        read: Mapping[TopicPartition, Sequence[Record]],
        stages: Mapping[int, TestStage],
        consumer: KafkaConsumer,
        commit_all: Callable[[Sequence[Outgoing], Offsets], None],
    ) -> None:
        """Test panes, and commit the results."""
        started = time.perf_counter()
        tests, outgoing, offsets = Tests(), list[Outgoing](), Offsets()
        scored = [context_of(record.header) for records in read.values() for record in records]
        with self._tracer.span("test", links=scored, panes=len(scored)) as span:
            tests.trace = span.context
            for place, records in read.items():
                stage = stages[place.partition]
                before = stage.next_offset
                outgoing += self._feed(stage, place, records, consumer, tests)
                outgoing += self._states(tests, place.partition)
                if stage.next_offset > before:
                    offsets[place.topic, place.partition] = (stage.next_offset, rewind_metadata(stage.rewind))
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
        place: TopicPartition,
        records: Sequence[Record],
        consumer: KafkaConsumer,
        tests: Tests,
    ) -> list[Outgoing]:
        """Feed records to a stage, in runs as long as gaps allow; return dead letters for the rest.

        Stops before the first pane whose reference is missing here: the partition waits for it.
        """
        run, dead = list[tuple[int, Entry]](), list[Outgoing]()
        for record in records:
            try:
                if is_gap(record.value):
                    gap = decode_gap(record.value)
                    stage.feed_all(run, tests)
                    run = []
                    stage.restart_windows(record.offset, gap.place)
                    continue
                entry = entry_of(record)
                if record.offset >= stage.tested and isinstance(entry, Pane):
                    stage.require_stream(entry)
                    if stage.lacks(entry):
                        self._waiting.hold(consumer, place, record.offset, entry)
                        break
                run.append((record.offset, entry))
            except MessageError as error:
                if record.offset >= stage.next_offset:
                    tests.events.append(dead_lettered(UNKNOWN, record, error))
                    dead.append(dead_letter(DeadLetter(record, error), self.source))
                stage.advance(record.offset)
        stage.feed_all(run, tests)
        return dead

    def _states(self, tests: Tests, partition: int) -> list[Outgoing]:
        """Policy states, each for the partition of the state topic with the same number as the panes' partition."""
        changed, tests.states = tests.states, {}
        return [
            Outgoing(
                self.source.topics.state,
                key.encode(),
                orjson.dumps(dict(state), option=orjson.OPT_SORT_KEYS),
                partition=partition,
            )
            for key, state in changed.items()
        ]

    def _results(self, tests: Tests) -> list[Outgoing]:
        windows = [Outgoing(self.source.topics.windows, each.stream.encode(), each.to_json()) for each in tests.windows]
        alerts = [
            Outgoing(
                self._alerts_topic,
                announcement.key_of(each).encode(),
                announcement.encode(each),
                headers=(("content-type", CONTENT_TYPE.encode()), *trace_headers(each.announced)),
            )
            for each in tests.alerts
        ]
        return windows + alerts

    def _rebalance(
        self,
        subscription: Subscription,
        read_states: Callable[[int], States],
        stages: dict[int, TestStage],
    ) -> tuple[set[TopicPartition], list[Gap]]:
        """Resume new partitions: read policy states from their topic, and rewind so that windows are refilled.

        Returns:
            Partitions whose polled messages must be dropped, and gaps in the partitions taken over.
        """
        consumer = subscription.consumer
        revoked, assigned = subscription.take_rebalance()
        self._waiting.forget([*revoked, *assigned])
        for each in revoked:
            stages.pop(each.partition, None)
        gaps: list[Gap] = []
        for each, (begin, end) in extents(consumer, assigned).items():
            committed = committed_offset(consumer, each)
            if committed is None:
                stages[each.partition] = TestStage(self._find, tracer=self._tracer)
                consumer.seek(each, begin)
                continue
            self.require_end(each, end, committed.offset)
            previous = Position(committed.offset, committed.offset)
            if gap := find_gap(each, previous, begin, end):
                gaps.append(gap)
            tested, rewind = previous.within(begin, end).offset, parse_rewind(committed.metadata or "")
            states = read_states(each.partition)
            if rewind and not states:
                log.error(
                    "policy states are gone: alarms begin anew",
                    topic=self.source.topics.state,
                    partition=each.partition,
                )
            stage = stages[each.partition] = TestStage(self._find, tested=tested, states=states, tracer=self._tracer)
            for event in stage.begun:
                self.observe(event)
            # Windows start empty after a gap, as they do after one in the input.
            consumer.seek(each, tested if gap else max(begin, committed.offset - rewind))
        if revoked or assigned:
            log.info("partitions assigned", role=self.name, partitions=[each.partition for each in assigned])
        return {*revoked, *assigned}, gaps

    def _skip_gaps(self, gaps: Sequence[Gap], producer: KafkaProducer, member: ConsumerGroupMetadata) -> None:
        """Record gaps as dead letters and commit the offsets after them, in one transaction."""
        offsets: Offsets = {}
        for gap in gaps:
            offsets[gap.place] = (gap.next if gap.why == "retention" else gap.first, rewind_metadata(0))
        commit(producer, member, [gap.letter(self.source) for gap in gaps], offsets)
        for gap in gaps:
            self.observe(MessagesGone(gap.topic, gap.partition, gap.first, gap.count, gap.why))

    def _read_states(self, reader: KafkaConsumer, ends: KafkaConsumer, partitions: int, partition: int) -> States:
        """Policy states as the partition's previous owner left them.

        Kafka completes a transaction partition by partition: the previous owner's offset may be committed before its
        states are. So this reads up to the last state written, which includes waiting for its transaction to end.
        """
        place = TopicPartition(self.source.topics.state, partition)
        found: dict[str, Mapping[str, Any]] = {}
        for message in read_to_end(reader, place, end_of(ends, place)):
            if message.key is not None and message.value is not None:
                found[message.key.decode()] = orjson.loads(message.value)
        if strays := sorted(key for key in found if home(key.split(announcement.APART)[0], partitions) != partition):
            raise SourceError(
                f"partition {partition} holds the states of {', '.join(strays[:3])}, which belong in others of the "
                f"{partitions} partitions: partitions were added to the topic",
                where=f"topic {place.topic}",
                remedy="see 'Partitions' in docs/operating.md",
            )
        return found

    def _recall(self, reader: KafkaConsumer) -> None:
        """Report the last alerts of each partition, so that a restarted daemon shows which are active."""
        for number in sorted(reader.partitions_for_topic(self._alerts_topic) or ()):
            place = TopicPartition(self._alerts_topic, number)
            for message in read_to_end(reader, place, end_of(reader, place), last=RECALLED):
                # The sinks report messages that cannot be decoded.
                with suppress(MessageError, NewerFormatError):
                    self.observe(AlertRecalled(announcement.decode(message.value or b"")))


def entry_of(record: Record) -> Entry:
    """What a message of the panes log holds.

    Raises:
        MessageError: it is neither a pane nor a sighting.
    """
    if is_sighting(record.value):
        return decode_sighting(record.value)
    return decode_pane(record.value, record.timestamp_ms, record.offset)


def rewind_metadata(rewind: int) -> str:
    """Metadata to commit with the offset: how many messages before it the windows reach back."""
    return orjson.dumps({"rewind": rewind}).decode()


def parse_rewind(metadata: str) -> int:
    """The inverse of `rewind_metadata`.

    Raises:
        SourceError: another program, or a newer driftwatch, has committed to this group.
    """
    try:
        stored = orjson.loads(metadata) if metadata else {"rewind": 0}
        require_format(
            stored.get("format", 1), REWIND_FORMAT, what="the position in the panes log", where="source.group"
        )
        return int(stored["rewind"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SourceError(
            f"the group's offset was committed with metadata that driftwatch did not write: {metadata[:80]!r}",
            where="source.group",
            remedy="use a consumer group for driftwatch alone",
        ) from None
