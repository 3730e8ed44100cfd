"""The one transaction that all roles share: messages and offsets together, or nothing, and never without an end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka.errors import CommitFailedError, KafkaConnectionError, KafkaTimeoutError
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata

from driftwatch.stream.log import Partition

TRANSACTION_TIMEOUT_MS = 15_000
"""When a killed daemon's open transaction is aborted; ours last milliseconds, since scoring comes first."""


@dataclass(frozen=True)
class Outgoing:
    """A message to be written within a transaction.

    It gets the time of writing: retention goes by it, and what is about old events must not be deleted at once.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Sequence[tuple[str, bytes]] = ()


def commit(
    producer: KafkaProducer,
    member: ConsumerGroupMetadata,
    messages: Sequence[Outgoing],
    offsets: Mapping[Partition, tuple[int, str]],
) -> None:
    """Writes messages and offsets in one transaction; a member that was replaced is refused (KIP-447).

    After an error the producer is of no more use. Whatever became of its transaction is settled before the next
    producer of the same identity is ready.

    Args:
        producer: with a transactional id.
        member: of the group that the offsets belong to, as it was when it was given what was worked on. Had it later,
            a membership that was lost meanwhile would be none, which the broker takes for no reason to refuse anything.
        messages: to write.
        offsets: offset and metadata of each partition.

    Raises:
        CommitFailedError: the membership was lost already.
        KafkaError: it is not known to be committed.
    """
    if member.generation_id < 0 or not member.member_id:
        raise CommitFailedError("the consumer has lost its membership of the group")
    stated = {
        TopicPartition(*place): OffsetAndMetadata(offset, metadata, -1) for place, (offset, metadata) in offsets.items()
    }

    def transact() -> None:
        producer.begin_transaction()
        sent = [
            producer.send(
                each.topic, key=each.key, value=each.value, partition=each.partition, headers=list(each.headers)
            )
            for each in messages
        ]
        producer.flush()
        for each in sent:
            each.get(timeout=0)
        producer.send_offsets_to_transaction(stated, member)
        producer.commit_transaction()

    _within(TRANSACTION_TIMEOUT_MS / 1000, transact)


def keep_requests(producer: KafkaProducer) -> None:
    """Mends a producer that would drop a transaction's request when the connection for it cannot be made.

    kafka-python 3.0.12 tries such a request again if it is told that the node is not ready, but not if that comes as an
    error: the messages then wait for the request's answer until they expire. There is no public way to its client.
    """
    client = producer._sender._client
    ready = client.await_ready

    def await_ready(*args: Any, **options: Any) -> bool:
        try:
            return bool(ready(*args, **options))
        except KafkaConnectionError:
            return False

    client.await_ready = await_ready


def _within(limit_s: float, work: Callable[[], None]) -> None:
    """Does work whose end kafka-python would await for ever if the broker is gone; its thread is left behind then."""
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again where the work was asked for
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=run, name="transaction", daemon=True).start()
    try:
        outcome.result(limit_s)
    except TimeoutError:
        raise KafkaTimeoutError(f"a transaction was not committed in {limit_s:.0f} s") from None
