"""The test role: reads panes, and writes window results, alerts, policy states and offsets in one transaction."""

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
from driftwatch.stream.kafka_clients import FETCH_MAX_BYTES, FETCH_MIN_BYTES, Assignment, KafkaRole, record_of
from driftwatch.stream.log import Partition, Record
from driftwatch.stream.pane_codec import decode_pane
from driftwatch.stream.panes import Pane
from driftwatch.stream.partition_end import end_of, read_to_end
from driftwatch.stream.positions import Position
from driftwatch.stream.score_role import dead_letter
from driftwatch.stream.score_stage import DeadLetter, dead_lettered
from driftwatch.stream.sighting import decode_sighting, is_sighting
from driftwatch.stream.switching import FindStandard
from driftwatch.stream.test_stage import Entry, Tests, TestStage
from driftwatch.stream.transaction import Outgoing, commit
from driftwatch.stream.waiting import Waiting, Want
from driftwatch.tracing import UNTRACED, Tracer, context_of, trace_headers

MAX_POLL_PANES = 200
REWIND_FORMAT = 1
"""Of the metadata beside an offset; the first has no number in it."""

RECALLED = 100
"""Offsets of each partition of the alerts topic; alerts and the marks of their transactions take turns there."""

States = Mapping[str, Mapping[str, Any]]
"""Of the policy, by stream."""

Offsets = dict[Partition, tuple[int, str]]
"""Offset and metadata of each partition, as they are committed."""

log = structlog.get_logger("driftwatch.test")


class TestRole(KafkaRole):
    """Tests the panes topic.

    Args:
        source: brokers, topics and group; the role's own group is the source's with ``.test`` at its end.
        find: of the standards that streams are held to.
        want: asks for references that are not here.
        patience_s: tells how long panes wait for one of those.
        alerts_topic: where alerts go.
        identity: of the transactional producer.
        prepare: called before the first read of each connection; makes topics, and says over how many partitions
            streams are spread.
        observer: told of everything.
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
        """Tests until told to stop."""
        spread = self._prepare()
        producer = self.producer(clients, self._identity)
        consumer = self.consumer(
            clients,
            f"{self.source.group}.test",
            max_poll_records=MAX_POLL_PANES,
            auto_offset_reset="none",
            fetch_max_bytes=FETCH_MAX_BYTES,
            fetch_min_bytes=FETCH_MIN_BYTES,
            fetch_max_wait_ms=self.source.fetch_max_wait_ms,
        )
        reader = self.consumer(clients, None)
        ends = self.consumer(clients, None, isolation_level="read_uncommitted")
        self._recall(reader)
        assignment = self.subscribe(consumer, self.source.topics.panes)
        stages: dict[int, TestStage] = {}
        self._waiting = Waiting(self._want, self._patience_s, self.observe)
        clients.callback(self._waiting.close)
        ready, told = False, None
        while not stop.is_set():
            polled = self.poll(consumer)
            # Before rebalances are acted on: should one more come about, this membership commits nothing.
            member = consumer.group_metadata()
            read_states = partial(self._read_states, reader, ends, spread)
            moved, gaps = self._rebalance(consumer, read_states, assignment, stages)
            if gaps:
                self._pass_over(gaps, producer, member)
            if not ready and self.settled(consumer):
                # Only now are the streams' alarms known that were on before.
                ready = True
                self.connected()
            self.observe(Progress("polled", self.name))
            self._waiting.look(consumer, lambda place, pane: stages[place.partition].lacks(pane))
            read = {place: list(map(record_of, polled[place])) for place in polled if place not in moved}
            if read:
                self._work(read, stages, consumer, partial(commit, producer, member))
            if self.settled(consumer):
                held = frozenset[str]().union(*(stage.streams for stage in stages.values()))
                if held != told:
                    told = held
                    self.observe(StreamsHeld(held))
            self.measure_lag(consumer)

    def _work(
        self,
        read: Mapping[TopicPartition, Sequence[Record]],
        stages: Mapping[int, TestStage],
        consumer: KafkaConsumer,
        commit_all: Callable[[Sequence[Outgoing], Offsets], None],
    ) -> None:
        """Tests panes, and commits what came of them."""
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
        """Gives a stage what records hold, as much at once as there is between gaps; the rest are dead letters.

        Only what is before the first pane whose reference is not here: with that one the partition waits.
        """
        run, dead = list[tuple[int, Entry]](), list[Outgoing]()
        for record in records:
            try:
                if is_gap(record.value):
                    gap = decode_gap(record.value)
                    stage.feed_all(run, tests)
                    run = []
                    stage.break_off(record.offset, gap.place)
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
                stage.passed(record.offset)
        stage.feed_all(run, tests)
        return dead

    def _states(self, tests: Tests, partition: int) -> list[Outgoing]:
        """Policy states go to the partition of the state topic that has the number of the panes' own."""
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
        consumer: KafkaConsumer,
        read_states: Callable[[int], States],
        assignment: Assignment,
        stages: dict[int, TestStage],
    ) -> tuple[set[TopicPartition], list[Gap]]:
        """Takes up new partitions: policy states from their topic, windows from the panes before the committed one.

        Returns:
            Partitions of which what was polled does not count, and what is gone of those taken up.
        """
        revoked, assigned = assignment.take()
        self._waiting.forget([*revoked, *assigned])
        for each in revoked:
            stages.pop(each.partition, None)
        gaps: list[Gap] = []
        for each, (begin, end) in self.extents(consumer, assigned).items():
            committed = self.committed(consumer, each)
            if committed is None:
                stages[each.partition] = TestStage(self._find, tracer=self._tracer)
                consumer.seek(each, begin)
                continue
            self.require_end(each, end, committed.offset)
            left = Position(committed.offset, committed.offset)
            if gap := find_gap((each.topic, each.partition), left, begin, end):
                gaps.append(gap)
            tested, rewind = left.within(begin, end).offset, parse_rewind(committed.metadata or "")
            kept = read_states(each.partition)
            if rewind and not kept:
                log.error(
                    "policy states are gone: alarms begin anew",
                    topic=self.source.topics.state,
                    partition=each.partition,
                )
            stage = stages[each.partition] = TestStage(self._find, tested=tested, states=kept, tracer=self._tracer)
            for event in stage.begun:
                self.observe(event)
            # After a gap windows begin anew, as they do after one in the input.
            consumer.seek(each, tested if gap else max(begin, committed.offset - rewind))
        if revoked or assigned:
            log.info("partitions assigned", role=self.name, partitions=[each.partition for each in assigned])
        return {*revoked, *assigned}, gaps

    def _pass_over(self, gaps: Sequence[Gap], producer: KafkaProducer, member: ConsumerGroupMetadata) -> None:
        """Writes down what is gone, and that it is passed over, in one transaction."""
        offsets: Offsets = {}
        for gap in gaps:
            offsets[gap.place] = (gap.next if gap.why == "retention" else gap.first, rewind_metadata(0))
        commit(producer, member, [gap.letter(self.source) for gap in gaps], offsets)
        for gap in gaps:
            self.observe(MessagesGone(gap.topic, gap.partition, gap.first, gap.count, gap.why))

    def _read_states(self, reader: KafkaConsumer, ends: KafkaConsumer, spread: int, partition: int) -> States:
        """Policy states as the partition's owner before left them.

        Kafka ends a transaction partition by partition: that the owner's offset is committed does not tell yet that
        its states are. So they are read up to the last one written, and that one's transaction is waited for.
        """
        place = TopicPartition(self.source.topics.state, partition)
        found: dict[str, Mapping[str, Any]] = {}
        for message in read_to_end(reader, place, end_of(ends, place)):
            if message.key is not None and message.value is not None:
                found[message.key.decode()] = orjson.loads(message.value)
        if strays := sorted(key for key in found if home(key.split(announcement.APART)[0], spread) != partition):
            raise SourceError(
                f"partition {partition} holds the states of {', '.join(strays[:3])}, which belong to others of the "
                f"{spread} partitions: partitions were added to it",
                where=f"topic {place.topic}",
                remedy="see 'Partitions' in docs/operating.md",
            )
        return found

    def _recall(self, reader: KafkaConsumer) -> None:
        """Tells of the last alerts of each partition: whoever looks after a restart wants to know what stands."""
        for number in sorted(reader.partitions_for_topic(self._alerts_topic) or ()):
            place = TopicPartition(self._alerts_topic, number)
            for message in read_to_end(reader, place, end_of(reader, place), last=RECALLED):
                # What cannot be read is for the sinks to complain of.
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
    """What is committed beside the offset: how far before it the windows reach back, in messages."""
    return orjson.dumps({"rewind": rewind}).decode()


def parse_rewind(metadata: str) -> int:
    """The inverse of `rewind_metadata`.

    Raises:
        SourceError: another program has committed to this group, or a newer driftwatch.
    """
    try:
        stored = orjson.loads(metadata) if metadata else {"rewind": 0}
        require_format(
            stored.get("format", 1), REWIND_FORMAT, what="the position in the panes log", where="source.group"
        )
        return int(stored["rewind"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SourceError(
            f"the group's offset was committed with metadata that is not driftwatch's: {metadata[:80]!r}",
            where="source.group",
            remedy="give driftwatch a consumer group of its own",
        ) from None
