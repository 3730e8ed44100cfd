"""Kafka consumers and producers with driftwatch's settings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import structlog
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from driftwatch.config import KafkaSource
from driftwatch.stream.connecting import client_options
from driftwatch.stream.kafka_batches import bound_batches
from driftwatch.stream.receiving import receive_more
from driftwatch.stream.topic_rules import batch_bytes
from driftwatch.stream.transaction import TRANSACTION_TIMEOUT_MS, keep_requests

FETCH_MIN_BYTES = 1 << 20
"""Brokers stop waiting for more input or panes, for one transaction, once they have this much."""

FETCH_MAX_BYTES = 16 << 20
"""Limit on one response of a broker, unless its first message is larger. A response is copied several times, each copy
in one piece of memory: with Kafka's default of 50 MB a daemon needed 300 MB more and took twice as long to read."""

MAX_POLL_INTERVAL_MS = 300_000
REQUEST_TIMEOUT_MS = 8_000
DELIVERY_TIMEOUT_MS = 12_000
"""Less than a transaction may take: a producer that still holds messages cannot be closed (kafka-python 3.0.12)."""

CLOSE_MS = 1_500

log = structlog.get_logger("driftwatch.kafka")


def open_consumer(
    source: KafkaSource, role: str, clients: ExitStack, group: str | None, **options: Any
) -> KafkaConsumer:
    """A consumer that reads committed messages only, and never commits by itself.

    Args:
        source: brokers, and how the member of a group is named and timed.
        role: that it reads for.
        clients: closes it.
        group: to be a member of; None for none.
        options: of kafka-python, instead of those chosen here.
    """
    settings: dict[str, Any] = {
        "group_id": group,
        "enable_auto_commit": False,
        "isolation_level": "read_committed",
        "auto_offset_reset": "earliest",
        "allow_auto_create_topics": False,
        "max_poll_interval_ms": MAX_POLL_INTERVAL_MS,
        "metadata_max_age_ms": 30_000,
        "client_rack": source.rack or "",
    }
    if group is not None:
        session_ms = int(source.session_timeout_s * 1000)
        settings |= {"session_timeout_ms": session_ms, "heartbeat_interval_ms": session_ms // 3}
        if source.instance is not None:
            settings["group_instance_id"] = f"{source.instance}.{role}"
    consumer = KafkaConsumer(**{**settings, **options}, **client_options(source))
    clients.callback(close_client, role, lambda: consumer.close(autocommit=False, timeout_ms=CLOSE_MS))
    receive_more(consumer)
    bound_batches(consumer, source.max_message_bytes)
    return consumer


def transactional(source: KafkaSource) -> dict[str, Any]:
    """Options of a consumer whose messages are processed in transactions: few large ones, from positions of its own."""
    return {
        "auto_offset_reset": "none",
        "fetch_max_bytes": FETCH_MAX_BYTES,
        "fetch_min_bytes": FETCH_MIN_BYTES,
        "fetch_max_wait_ms": source.fetch_max_wait_ms,
    }


def open_producer(source: KafkaSource, role: str, clients: ExitStack, identity: str) -> KafkaProducer:
    """A transactional producer, ready for its first transaction; fences an earlier one with the same identity.

    Args:
        source: brokers, and how long messages may be.
        role: that it writes for.
        clients: closes it.
        identity: its transactional id.
    """
    producer = KafkaProducer(
        transactional_id=identity,
        transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        max_block_ms=TRANSACTION_TIMEOUT_MS,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
        max_request_size=2 * source.max_message_bytes,
        batch_size=batch_bytes(source),
        linger_ms=2,
        allow_auto_create_topics=False,
        **client_options(source),
    )
    clients.callback(close_client, role, lambda: producer.close(timeout=CLOSE_MS / 1000))
    keep_requests(producer)
    producer.init_transactions()
    return producer


def close_client(role: str, close: Callable[[], None]) -> None:
    """Close a client. Failures are only logged: the broker notices its absence, and why it closes matters more."""
    try:
        close()
    except (KafkaError, OSError) as error:
        log.debug("client not closed cleanly", role=role, error=str(error) or type(error).__name__)
