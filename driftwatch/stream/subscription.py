"""A consumer's subscription to a topic as a member of its group: polling, rebalances, and whether both still work."""

from __future__ import annotations

import threading
import time
from collections.abc import MutableMapping, Sequence
from uuid import UUID

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaTimeoutError, NoOffsetForPartitionError, OffsetOutOfRangeError
from kafka.structs import MemberState, OffsetAndMetadata

from driftwatch.stream.losses import Unready
from driftwatch.stream.partitions import POLL_MS, PROBE_MS, committed_offset
from driftwatch.stream.topic_identity import identity_of, is_of_another

JOIN_POLL_MS = 2_000
JOIN_PATIENCE_S = 30.0
SILENCE_S = 5.0
"""After this long without a message the broker is probed, since `poll` does not report that it is gone."""

LOST_S = 10.0
FENCED_S = 2.0
"""How long a member may look fenced before it is; while joining, it looks fenced for a moment."""

log = structlog.get_logger("driftwatch.kafka")


class Subscription:
    """A subscribed consumer. Its topic's metadata is fetched first, so that it joins its group only once.

    Args:
        consumer: a member of a group, not subscribed yet.
        topic: to read.
        instance: whether the member has a name (``group.instance.id``).
        identities: of topics, by name; remembered over connections.
    """

    def __init__(
        self, consumer: KafkaConsumer, topic: str, *, instance: bool, identities: MutableMapping[str, UUID]
    ) -> None:
        self.consumer, self.topic = consumer, topic
        self._instance, self._identities = instance, identities
        self._rebalances = _Rebalances()
        self._requested_partitions = False
        self._paused = set[TopicPartition]()
        self._unsettled_since: float | None = None
        self._fenced_since: float | None = None
        self._answered = self._probed = time.monotonic()
        consumer.partitions_for_topic(topic)
        consumer.subscribe([topic], listener=self._rebalances)

    @property
    def settled(self) -> bool:
        """Whether the group has assigned partitions to this member, or none."""
        return bool(self.consumer.group_metadata().state == MemberState.STABLE)

    @property
    def identity(self) -> str:
        """The identity of the topic that the last poll read, to be committed with its offsets."""
        return identity_of(self.consumer._cluster.cluster_id, self._identities.get(self.topic))

    def committed(self, partition: TopicPartition) -> OffsetAndMetadata | None:
        """The offset that the group has committed in a partition of the topic; None if there is none.

        A member that did not know yet that its topic was recreated may have committed an offset of the earlier one.

        Raises:
            KafkaTimeoutError: see `committed_offset`.
        """
        found = committed_offset(self.consumer, partition)
        if found is None or not is_of_another(found.metadata or "", self.identity):
            return found
        log.info("the committed offset is of an earlier topic", topic=self.topic, partition=partition.partition)
        return None

    def take_rebalance(self) -> tuple[list[TopicPartition], list[TopicPartition]]:
        """Partitions revoked and partitions assigned since the last call, to be handled in this order."""
        return self._rebalances.take()

    def poll(self, *, busy: bool = False) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Wait briefly for messages, and return those that have come.

        A busy role must poll too. Otherwise the group removes it after `MAX_POLL_INTERVAL_MS`, and its uncommitted work
        is redone by another member, which may be no faster.

        kafka-python 3.0.12 can lose a membership: if `poll` times out while a rejoin after a metadata change is in
        flight, the result of the rejoin is never processed and no more messages come. So joining gets more time, and a
        membership that does not settle is abandoned for a new one.

        Args:
            busy: fetch nothing from partitions held so far and do not wait; only new partitions may return messages.

        Raises:
            KafkaTimeoutError: the group does not settle, or the broker does not respond.
            OffsetOutOfRangeError: the topic no longer holds the next message.
            Unready: the topic was deleted and recreated, or another member uses this one's name.
        """
        self._pause(busy=busy)
        free_slot(self.consumer)
        polled: dict[TopicPartition, list[ConsumerRecord]] = {}
        try:
            polled = self.consumer.poll(timeout_ms=JOIN_POLL_MS if not self.settled else 0 if busy else POLL_MS)
        except (NoOffsetForPartitionError, OffsetOutOfRangeError):
            # Newly assigned partitions may have no valid position yet: the role sets one after this call.
            if not self._rebalances.waiting:
                raise
        now = time.monotonic()
        self._require_same_topic()
        self._request_partitions()
        self._require_own_name(now)
        self._require_settled(now)
        self._require_answers(now, answered=bool(polled))
        return polled

    def _pause(self, *, busy: bool) -> None:
        """Pause all partitions while the role is busy, and resume those afterwards."""
        if busy:
            idle = self.consumer.assignment() - self.consumer.paused()
            self.consumer.pause(*idle)
            self._paused |= idle
        else:
            # Partitions that the role itself has paused, to wait for a reference, stay paused.
            self.consumer.resume(*self._paused & self.consumer.paused())
            self._paused.clear()

    def _require_same_topic(self) -> None:
        """Stop if the topic was recreated: the same offsets are other messages there, so positions mean nothing."""
        identity = self.consumer._cluster.topic_id(self.topic)
        if identity is None:
            return
        before, self._identities[self.topic] = self._identities.get(self.topic), identity
        if before not in (None, identity):
            raise Unready(f"topic {self.topic!r} was deleted and recreated")

    def _request_partitions(self) -> None:
        """Request a rebalance, once, if a named member returns and has no partitions.

        The group gives a named member what it had before. If its topic was deleted and recreated meanwhile, that is
        nothing, and would remain so.
        """
        if not self._instance or self._requested_partitions or not self.settled:
            return
        self._requested_partitions = True
        if not self.consumer.assignment():
            self.consumer._coordinator.request_rejoin()

    def _require_own_name(self, now: float) -> None:
        """Give up a membership whose name another member has taken over.

        kafka-python 3.0.12 stops the heartbeats of a fenced member without reporting it. The member would keep
        partitions that belong to another, and never be assigned any again.
        """
        if not self._instance:
            return
        coordinator = self.consumer._coordinator
        if coordinator._heartbeat_enabled or not self.settled:
            self._fenced_since = None
            return
        self._fenced_since = self._fenced_since or now
        if now - self._fenced_since > FENCED_S:
            raise Unready(
                f"another member of group {coordinator.group_id!r} has taken the name {coordinator.group_instance_id!r}"
                ": give each daemon a source.instance of its own"
            )

    def _require_settled(self, now: float) -> None:
        """Give up a membership that does not settle."""
        if self.settled:
            self._unsettled_since = None
        elif self._unsettled_since is None:
            self._unsettled_since = now
        elif now - self._unsettled_since > JOIN_PATIENCE_S:
            raise KafkaTimeoutError(f"the consumer group did not settle in {JOIN_PATIENCE_S:.0f} s")

    def _require_answers(self, now: float, *, answered: bool) -> None:
        """Probe a silent broker; give up the connection after a while without a response."""
        if answered:
            self._answered = self._probed = now
        if now - self._probed <= SILENCE_S:
            return
        partition = min(self.consumer.assignment(), default=TopicPartition(self.topic, 0))
        try:
            self.consumer.end_offsets([partition], timeout_ms=PROBE_MS)
        except KafkaTimeoutError:
            unanswered_s = time.monotonic() - self._answered
            if unanswered_s > LOST_S:
                raise KafkaTimeoutError(f"the broker has not answered for {unanswered_s:.0f} s") from None
        else:
            self._answered = self._probed = time.monotonic()


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]
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


def free_slot(consumer: KafkaConsumer) -> None:
    """Unblock a consumer that would return no more messages of a partition that was paused while it held some.

    kafka-python 3.0.12 resumes such messages only when it holds no others. It counts the batch that it returned last as
    held, and fetches nothing while it holds any.
    """
    fetcher = consumer._fetcher
    if not fetcher._next_partition_records:
        fetcher._next_partition_records = None
