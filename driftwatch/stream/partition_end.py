"""Finds where a partition ends, and reads everything up to there."""

from __future__ import annotations

import time
from collections.abc import Iterator

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaTimeoutError

from driftwatch.stream.kafka_clients import ANSWER_MS, POLL_MS

READ_TO_END_S = 60.0


def end_of(consumer: KafkaConsumer, place: TopicPartition) -> int:
    """The current end of a partition as this consumer's isolation level sees it: of committed or of all messages."""
    end: int = consumer.end_offsets([place], timeout_ms=ANSWER_MS)[place]
    return end


def read_to_end(
    consumer: KafkaConsumer, place: TopicPartition, end: int, *, last: int | None = None
) -> Iterator[ConsumerRecord]:
    """The committed messages of a partition before `end`: all of them, or those at the `last` offsets.

    Raises:
        KafkaTimeoutError: reading took too long.
    """
    consumer.assign([place])
    if last is None:
        consumer.seek_to_beginning(place)
    else:
        begin = consumer.beginning_offsets([place], timeout_ms=ANSWER_MS)[place]
        consumer.seek(place, max(begin, end - last))
    started = time.monotonic()
    while (position := consumer.position(place, timeout_ms=ANSWER_MS)) is None or position < end:
        if time.monotonic() - started > READ_TO_END_S:
            raise KafkaTimeoutError(f"{place.topic}/{place.partition} could not be read in {READ_TO_END_S:.0f} s")
        for messages in consumer.poll(timeout_ms=POLL_MS).values():
            yield from messages
