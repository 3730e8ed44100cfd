"""What brokers know of a partition: where its log begins and ends, how far a group is, and what is in it now."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaTimeoutError
from kafka.structs import OffsetAndMetadata

POLL_MS = 200
ANSWER_MS = 10_000
"""How long to wait for a response that the role cannot continue without."""

PROBE_MS = 1_000
"""How long to wait for one that it can continue without."""

STUCK_S = 60.0
"""How long reading may get no further. It may take longer: who gave up would begin anew, with more to read."""


def committed_offset(consumer: KafkaConsumer, partition: TopicPartition) -> OffsetAndMetadata | None:
    """The offset that the consumer's group has committed in a partition; None if there is none.

    Raises:
        KafkaTimeoutError: the broker does not respond, for example because of a transaction that has not ended.
    """
    try:
        found: OffsetAndMetadata | None = consumer.committed(partition, metadata=True, timeout_ms=ANSWER_MS)
    except KafkaTimeoutError:
        raise KafkaTimeoutError(
            f"no word of the committed offset of {partition.topic}/{partition.partition}: a transaction may not have "
            "ended; if this lasts, see 'A broker that crashes alone' in driftwatch's docs/design.md"
        ) from None
    return None if found is None or found.offset < 0 else found


def extents(consumer: KafkaConsumer, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
    """Where the logs of partitions begin and end now.

    Raises:
        KafkaTimeoutError: the broker does not respond.
    """
    begins = consumer.beginning_offsets(partitions, timeout_ms=ANSWER_MS) if partitions else {}
    ends = consumer.end_offsets(partitions, timeout_ms=ANSWER_MS) if partitions else {}
    return {each: (begins[each], ends[each]) for each in partitions}


def end_of(consumer: KafkaConsumer, partition: TopicPartition) -> int:
    """The current end of a partition as this consumer's isolation level sees it: of committed or of all messages."""
    end: int = consumer.end_offsets([partition], timeout_ms=ANSWER_MS)[partition]
    return end


def read_to_end(
    consumer: KafkaConsumer, partition: TopicPartition, end: int, *, last: int | None = None
) -> Iterator[ConsumerRecord]:
    """The committed messages of a partition before `end`: all of them, or those at the `last` offsets.

    Raises:
        KafkaTimeoutError: reading gets no further, for example because of a transaction that does not end.
    """
    consumer.assign([partition])
    if last is None:
        consumer.seek_to_beginning(partition)
    else:
        begin = consumer.beginning_offsets([partition], timeout_ms=ANSWER_MS)[partition]
        consumer.seek(partition, max(begin, end - last))
    reached, moved = -1, time.monotonic()
    while (position := consumer.position(partition, timeout_ms=ANSWER_MS)) is None or position < end:
        if position is not None and position > reached:
            reached, moved = position, time.monotonic()
        elif time.monotonic() - moved > STUCK_S:
            raise KafkaTimeoutError(
                f"{partition.topic}/{partition.partition} cannot be read beyond {reached} since {STUCK_S:.0f} s"
            )
        for messages in consumer.poll(timeout_ms=POLL_MS).values():
            yield from messages
