"""The transaction that all roles share: messages and offsets together or not at all, within a time limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka.errors import CommitFailedError, KafkaConnectionError, KafkaTimeoutError
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata

from driftwatch.stream.log import Outgoing, Partition

TRANSACTION_TIMEOUT_MS = 15_000
"""When the broker aborts a killed daemon's open transaction. Ours take milliseconds: scoring is done before."""


def commit(
    producer: KafkaProducer,
    member: ConsumerGroupMetadata,
    messages: Sequence[Outgoing],
    offsets: Mapping[Partition, tuple[int, str]],
) -> None:
    """Write messages and offsets in one transaction; the broker rejects a member that was replaced (KIP-447).

    After an error the producer cannot be used again. Whatever became of its transaction is settled before the next
    producer with the same identity is ready.

    Args:
        producer: with a transactional id.
        member: of the offsets' group, as it was when the processed messages were received. Read later, it could be a
            membership lost in between, which is empty, and which the broker does not reject.
        messages: to write.
        offsets: offset and metadata by partition.

    Raises:
        CommitFailedError: the membership is already lost.
        KafkaError: the transaction may not be committed.
    """
    if member.generation_id < 0 or not member.member_id:
        raise CommitFailedError("the consumer has lost its membership of the group")
    committed = {
        TopicPartition(*partition): OffsetAndMetadata(offset, metadata, -1)
        for partition, (offset, metadata) in offsets.items()
    }

    def transact() -> None:
        producer.begin_transaction()
        sent = [_send(producer, each) for each in messages]
        producer.flush()
        for each in sent:
            each.get(timeout=0)
        producer.send_offsets_to_transaction(committed, member)
        producer.commit_transaction()

    _within(TRANSACTION_TIMEOUT_MS / 1000, transact)


def _send(producer: KafkaProducer, message: Outgoing) -> Any:
    try:
        return producer.send(
            message.topic,
            key=message.key,
            value=message.value,
            partition=message.partition,
            headers=list(message.headers),
        )
    except KafkaTimeoutError as error:  # does not say which topic, and that is perhaps deleted
        raise KafkaTimeoutError(f"topic {message.topic!r} cannot be written: {error}") from None


def keep_requests(producer: KafkaProducer) -> None:
    """Keep a producer from dropping a transaction's request when the connection for it cannot be made.

    kafka-python 3.0.12 retries such a request if the node is reported as not ready, but not if the connection raises an
    error: the messages then wait for the response until they expire. Its client has no public access.
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
    """Run work that kafka-python would never finish if the broker is gone; on time-out its thread is left behind."""
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=run, name="transaction", daemon=True).start()
    try:
        outcome.result(limit_s)
    except TimeoutError:
        raise KafkaTimeoutError(f"a transaction was not committed in {limit_s:.0f} s") from None
