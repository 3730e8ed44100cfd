"""What a transaction and the panes in it cost."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, KafkaProducer

from benchmarks.kafka_path.material import Meter, Spent, without_library
from driftwatch.stream.log import Outgoing
from driftwatch.stream.transaction import commit

PANE = 30 << 10
"""Bytes of a pane, as for a reference of 28x28 images."""

WARM_UP = 3
USUAL = {"max_request_size": 32 << 20, "linger_ms": 2}
"""The roles' settings."""


def transact(
    bootstrap: str, topics: tuple[str, str], count: int, panes: int, library: bool, options: Mapping[str, Any]
) -> Spent:
    """Write panes and offsets in transactions, as the score role does, and do nothing else.

    Args:
        bootstrap: bootstrap address of the broker.
        topics: the topic whose offsets are committed, and the topic that panes are written to.
        count: number of transactions.
        panes: panes per transaction.
        library: whether a library computes checksums.
        options: further options of the producer.
    """
    if not library:
        without_library()
    read, written = topics
    group = f"{read}-{os.getpid()}"
    with (
        closing(KafkaProducer(**{**USUAL, **options}, bootstrap_servers=bootstrap, transactional_id=group)) as producer,
        closing(KafkaConsumer(read, bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)) as consumer,
    ):
        producer.init_transactions()
        while not consumer.assignment():
            consumer.poll(timeout_ms=100)
        body = os.urandom(PANE)
        meter = Meter()
        for i in range(-WARM_UP, count):
            if i == 0:
                meter = Meter()
            messages = [Outgoing(written, b"stream", body, 0) for _ in range(panes)]
            commit(producer, consumer.group_metadata(), messages, {(read, 0): (i + WARM_UP, "")})
        return meter.read()


def transact_librdkafka(bootstrap: str, topics: tuple[str, str], count: int, panes: int) -> Spent:
    """Write panes and offsets in transactions with confluent-kafka."""
    from confluent_kafka import Consumer, Producer, TopicPartition  # type: ignore[import-not-found]

    read, written = topics
    group = f"{read}-{os.getpid()}"
    producer = Producer(
        {"bootstrap.servers": bootstrap, "transactional.id": group, "linger.ms": 2, "message.max.bytes": 32 << 20}
    )
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    consumer.subscribe([read])
    producer.init_transactions()
    while not consumer.assignment():
        consumer.poll(0.1)
    body = os.urandom(PANE)
    meter = Meter()
    for i in range(-WARM_UP, count):
        if i == 0:
            meter = Meter()
        producer.begin_transaction()
        for _ in range(panes):
            producer.produce(written, value=body, key=b"stream", partition=0)
        producer.flush()
        place = TopicPartition(read, 0, i + WARM_UP)
        producer.send_offsets_to_transaction([place], consumer.consumer_group_metadata())
        producer.commit_transaction()
    spent = meter.read()
    consumer.close()
    return spent
