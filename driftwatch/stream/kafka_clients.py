"""Kafka clients with driftwatch's settings, and what every role does with its consumer."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError, KafkaTimeoutError, NoOffsetForPartitionError, OffsetOutOfRangeError
from kafka.structs import MemberState, OffsetAndMetadata

from driftwatch.config import KafkaSource
from driftwatch.stream.connecting import client_options
from driftwatch.stream.events import LagMeasured, Observer, PartitionsHeld
from driftwatch.stream.kafka_batches import Unreadable, bound_batches
from driftwatch.stream.log import Partition, Record, event_time
from driftwatch.stream.losses import Unready
from driftwatch.stream.receiving import receive_more
from driftwatch.stream.reconnecting import Reconnecting
from driftwatch.stream.topic_rules import batch_bytes
from driftwatch.stream.transaction import TRANSACTION_TIMEOUT_MS, keep_requests

FETCH_MIN_BYTES = 1 << 20
"""Brokers stop waiting for more input or panes, for one transaction, once they have this much."""

FETCH_MAX_BYTES = 16 << 20
"""Limit on one response of a broker, unless its first message is larger. A response is copied several times, each copy
in one piece of memory: with Kafka's default of 50 MB a daemon needed 300 MB more and took twice as long to read."""

POLL_MS = 200
JOIN_POLL_MS = 2_000
JOIN_PATIENCE_S = 30.0
MAX_POLL_INTERVAL_MS = 300_000
ANSWER_MS = 10_000
"""How long to wait for a response that the role cannot continue without."""

REQUEST_TIMEOUT_MS = 8_000
DELIVERY_TIMEOUT_MS = 12_000
"""Less than a transaction may take: a producer that still holds messages cannot be closed (kafka-python 3.0.12)."""

CLOSE_MS = 1_500
SILENCE_S = 5.0
"""After this long without a message the broker is probed, since `poll` does not report that it is gone."""

PROBE_MS = 1_000
LOST_S = 10.0
SHORT_S = 30.0
"""How long a log must end short of the position already read, until the messages between count as lost."""

FENCED_S = 2.0
"""How long a member may look fenced before it is; while joining, it looks fenced for a moment."""

LAG_EVERY_S = 2.0

log = structlog.get_logger("driftwatch.kafka")


class KafkaRole(Reconnecting):
    """Reads a Kafka topic until stopped.

    Args:
        name: of the role, for logs and health.
        source: brokers and group.
        observer: receives events about the connection.
    """

    def __init__(self, name: str, source: KafkaSource, observer: Observer) -> None:
        super().__init__(name, observer)
        self.source = source
        self._topic = ""
        self._assignment, self._requested_partitions = Assignment(), False
        self._paused = set[TopicPartition]()
        self._topic_identity: UUID | None = None
        self._short_since: dict[TopicPartition, float] = {}
        self._unsettled_since: float | None = None
        self._fenced_since: float | None = None
        self._answered = self._probed = self._measured = 0.0

    def subscribe(self, consumer: KafkaConsumer, topic: str) -> Assignment:
        """Subscribe to a topic; its metadata is fetched first, so that the consumer joins its group only once."""
        self._topic = topic
        self._paused.clear()
        self._unsettled_since = self._fenced_since = None
        self._answered = self._probed = time.monotonic()
        consumer.partitions_for_topic(topic)
        self._assignment, self._requested_partitions = Assignment(), False
        consumer.subscribe([topic], listener=self._assignment)
        return self._assignment

    def poll(self, consumer: KafkaConsumer, *, busy: bool = False) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Wait briefly for messages, and return those that have come.

        A busy role must poll too. Otherwise the group removes it after `MAX_POLL_INTERVAL_MS`, and its uncommitted work
        is redone by another member, which may be no faster.

        kafka-python 3.0.12 can lose a membership: if `poll` times out while a rejoin after a metadata change is in
        flight, the result of the rejoin is never processed and no more messages come. So joining gets more time, and a
        membership that does not settle is abandoned for a new one.

        Args:
            consumer: a subscribed consumer.
            busy: fetch nothing from partitions held so far and do not wait; only new partitions may return messages.

        Raises:
            KafkaTimeoutError: the group does not settle, or the broker does not respond.
            OffsetOutOfRangeError: the topic no longer holds the next message.
            Unready: the topic was deleted and recreated, or another member uses this one's name.
        """
        polled: dict[TopicPartition, list[ConsumerRecord]] = {}
        if busy:
            idle = consumer.assignment() - consumer.paused()
            consumer.pause(*idle)
            self._paused |= idle
        else:
            # Partitions that the role itself has paused, to wait for a reference, stay paused.
            consumer.resume(*self._paused & consumer.paused())
            self._paused.clear()
        free_slot(consumer)
        wait_ms = JOIN_POLL_MS if not self.settled(consumer) else 0 if busy else POLL_MS
        try:
            polled = consumer.poll(timeout_ms=wait_ms)
        except (NoOffsetForPartitionError, OffsetOutOfRangeError):
            # Newly assigned partitions may have no valid position yet: the role sets one after this call.
            if not self._assignment.waiting:
                raise
        self._require_same_topic(consumer)
        self._request_partitions(consumer)
        now = time.monotonic()
        self._require_own_name(consumer, now)
        if self.settled(consumer):
            self._unsettled_since = None
        elif self._unsettled_since is None:
            self._unsettled_since = now
        elif now - self._unsettled_since > JOIN_PATIENCE_S:
            raise KafkaTimeoutError(f"the consumer group did not settle in {JOIN_PATIENCE_S:.0f} s")
        if polled:
            self._answered = self._probed = now
        elif now - self._probed > SILENCE_S:
            self._probe(consumer)
        return polled

    def committed(self, consumer: KafkaConsumer, place: TopicPartition) -> OffsetAndMetadata | None:
        """The group's committed offset of a partition; None if there is none.

        Raises:
            KafkaTimeoutError: the broker does not respond, for example because of a transaction that has not ended.
        """
        try:
            found: OffsetAndMetadata | None = consumer.committed(place, metadata=True, timeout_ms=ANSWER_MS)
        except KafkaTimeoutError:
            raise KafkaTimeoutError(
                f"no word of the committed offset of {place.topic}/{place.partition}: a transaction may not have "
                "ended; if this lasts, see 'A broker that crashes alone' in driftwatch's docs/design.md"
            ) from None
        return None if found is None or found.offset < 0 else found

    def extents(
        self, consumer: KafkaConsumer, places: Sequence[TopicPartition]
    ) -> dict[TopicPartition, tuple[int, int]]:
        """Where the logs of partitions begin and end now.

        Raises:
            KafkaTimeoutError: the broker does not respond.
        """
        begins = consumer.beginning_offsets(places, timeout_ms=ANSWER_MS) if places else {}
        ends = consumer.end_offsets(places, timeout_ms=ANSWER_MS) if places else {}
        return {each: (begins[each], ends[each]) for each in places}

    def require_end(self, place: TopicPartition, end: int, read: int) -> None:
        """Accept that a log ends before the position read from it only once that has lasted for a while.

        A broker that has just become a partition's leader may not know the high watermark yet, and report a lower end.

        Raises:
            Unready: the end must be checked again.
        """
        if read <= end:
            self._short_since.pop(place, None)
            return
        since = self._short_since.setdefault(place, time.monotonic())
        if time.monotonic() - since < SHORT_S:
            raise Unready(f"{place.topic}/{place.partition} ends at {end}, and was read up to {read}")

    def _require_same_topic(self, consumer: KafkaConsumer) -> None:
        """Stop if the topic was recreated: the same offsets are other messages there, so positions mean nothing."""
        identity = consumer._cluster.topic_id(self._topic)
        if identity is None or identity == self._topic_identity:
            return
        before, self._topic_identity = self._topic_identity, identity
        if before is not None:
            raise Unready(f"topic {self._topic!r} was deleted and recreated")

    def _require_own_name(self, consumer: KafkaConsumer, now: float) -> None:
        """Give up a membership whose name (``group.instance.id``) another member has taken over.

        kafka-python 3.0.12 stops the heartbeats of a fenced member without reporting it. The member would keep
        partitions that belong to another, and never be assigned any again.
        """
        if self.source.instance is None:
            return
        coordinator = consumer._coordinator
        if coordinator._heartbeat_enabled or not self.settled(consumer):
            self._fenced_since = None
            return
        self._fenced_since = self._fenced_since or now
        if now - self._fenced_since > FENCED_S:
            raise Unready(
                f"another member of group {coordinator.group_id!r} has taken the name {coordinator.group_instance_id!r}"
                ": give each daemon a source.instance of its own"
            )

    def _request_partitions(self, consumer: KafkaConsumer) -> None:
        """Request a rebalance, once, if a named member returns and has no partitions.

        The group gives a named member what it had before. If its topic was deleted and recreated meanwhile, that is
        nothing, and would remain so.
        """
        if self.source.instance is None or self._requested_partitions or not self.settled(consumer):
            return
        self._requested_partitions = True
        if not consumer.assignment():
            consumer._coordinator.request_rejoin()

    def settled(self, consumer: KafkaConsumer) -> bool:
        """Whether the group has assigned partitions to this member, or none."""
        return bool(consumer.group_metadata().state == MemberState.STABLE)

    def measure_lag(self, consumer: KafkaConsumer, held: Iterable[Partition] = ()) -> None:
        """Report, every few seconds, how many messages of each partition are still to be processed.

        The broker is asked for the ends of the logs. A consumer's own knowledge is as old as its last fetch, and it
        does not fetch while it holds enough.

        Args:
            consumer: a subscribed consumer.
            held: the partition of each message that was polled and is not processed yet.
        """
        if time.monotonic() - self._measured < LAG_EVERY_S:
            return
        self._measured = time.monotonic()
        places = sorted(consumer.assignment())
        if self.settled(consumer):
            self.observe(PartitionsHeld(self._topic, frozenset(each.partition for each in places)))
        try:
            ends = consumer.end_offsets(places, timeout_ms=PROBE_MS) if places else {}
        except KafkaTimeoutError as error:
            # `_probe` decides whether the broker is gone.
            log.debug("lag not measured", role=self.name, error=str(error))
            return
        waiting = Counter(held)
        for each, end in ends.items():
            if (position := consumer.position(each, timeout_ms=POLL_MS)) is not None:
                lag = max(0, end - position) + waiting[each.topic, each.partition]
                self.observe(LagMeasured(each.topic, each.partition, lag))

    def _probe(self, consumer: KafkaConsumer) -> None:
        """Send the broker a request; give up the connection after a while without a response."""
        place = min(consumer.assignment(), default=TopicPartition(self._topic, 0))
        try:
            consumer.end_offsets([place], timeout_ms=PROBE_MS)
        except KafkaTimeoutError:
            unanswered_s = time.monotonic() - self._answered
            if unanswered_s > LOST_S:
                raise KafkaTimeoutError(f"the broker has not answered for {unanswered_s:.0f} s") from None
        else:
            self._answered = self._probed = time.monotonic()

    def consumer(self, clients: ExitStack, group: str | None, **options: Any) -> KafkaConsumer:
        """A consumer that reads committed messages only, and never commits by itself."""
        settings: dict[str, Any] = {
            "group_id": group,
            "enable_auto_commit": False,
            "isolation_level": "read_committed",
            "auto_offset_reset": "earliest",
            "allow_auto_create_topics": False,
            "max_poll_interval_ms": MAX_POLL_INTERVAL_MS,
            "metadata_max_age_ms": 30_000,
            "client_rack": self.source.rack or "",
        }
        if group is not None:
            session_ms = int(self.source.session_timeout_s * 1000)
            settings |= {"session_timeout_ms": session_ms, "heartbeat_interval_ms": session_ms // 3}
            if self.source.instance is not None:
                settings["group_instance_id"] = f"{self.source.instance}.{self.name}"
        made = KafkaConsumer(**{**settings, **options}, **client_options(self.source))
        clients.callback(close_client, self.name, lambda: made.close(autocommit=False, timeout_ms=CLOSE_MS))
        receive_more(made)
        bound_batches(made, self.source.max_message_bytes)
        return made

    def producer(self, clients: ExitStack, identity: str) -> KafkaProducer:
        """A transactional producer, ready for its first transaction; fences an earlier one with the same identity."""
        made = KafkaProducer(
            transactional_id=identity,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            max_block_ms=TRANSACTION_TIMEOUT_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
            max_request_size=2 * self.source.max_message_bytes,
            batch_size=batch_bytes(self.source),
            linger_ms=2,
            allow_auto_create_topics=False,
            **client_options(self.source),
        )
        clients.callback(close_client, self.name, lambda: made.close(timeout=CLOSE_MS / 1000))
        keep_requests(made)
        made.init_transactions()
        return made


def free_slot(consumer: KafkaConsumer) -> None:
    """Unblock a consumer that would return no more messages of a partition that was paused while it held some.

    kafka-python 3.0.12 resumes such messages only when it holds no others. It counts the batch that it returned last as
    held, and fetches nothing while it holds any.
    """
    fetcher = consumer._fetcher
    if not fetcher._next_partition_records:
        fetcher._next_partition_records = None


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Collects rebalances, which happen inside ``poll``, for the role to handle afterwards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._assigned: list[TopicPartition] = []
        self._revoked: list[TopicPartition] = []

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Called by the consumer."""
        with self._lock:
            self._assigned += assigned

    def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Called by the consumer."""
        with self._lock:
            self._revoked += revoked
            self._assigned = [each for each in self._assigned if each not in revoked]

    def on_partitions_lost(self, lost: Sequence[TopicPartition]) -> None:
        """Called by the consumer."""
        self.on_partitions_revoked(lost)

    @property
    def waiting(self) -> bool:
        """Whether partitions were assigned since the last `take`."""
        with self._lock:
            return bool(self._assigned)

    def take(self) -> tuple[list[TopicPartition], list[TopicPartition]]:
        """Partitions revoked and partitions assigned since the last call, to be handled in this order."""
        with self._lock:
            pending = self._revoked, self._assigned
            self._revoked, self._assigned = [], []
            return pending


def close_client(role: str, close: Callable[[], None]) -> None:
    """Close a client. Failures are only logged: the broker notices its absence, and why it closes matters more."""
    try:
        close()
    except (KafkaError, OSError) as error:
        log.debug("client not closed cleanly", role=role, error=str(error) or type(error).__name__)


def record_of(message: ConsumerRecord) -> Record:
    """The record for a message from kafka-python."""
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=event_time(message.timestamp),
        key=message.key,
        value=message.value or b"",
        headers=tuple((name, value or b"") for name, value in message.headers or ()),
        refused=message.value.error if isinstance(message.value, Unreadable) else None,
    )
