"""Dead letters: messages that cannot be used, and the messages of the dead-letter topic that keep them."""

from __future__ import annotations

from dataclasses import dataclass

from driftwatch.config import KafkaSource
from driftwatch.errors import MessageError
from driftwatch.stream.events import DeadLettered
from driftwatch.stream.log import Outgoing, Partition, Record


@dataclass(frozen=True)
class DeadLetter:
    """A message that cannot be used, and why."""

    record: Record
    error: MessageError

    def event(self, stream: str) -> DeadLettered:
        """The event that reports it, for the stream that it belongs to."""
        record = self.record
        place = f"{record.topic}/{record.partition} at {record.offset}"
        return DeadLettered(stream, self.error.reason, f"{place}: {self.error}")

    def message(self, source: KafkaSource) -> Outgoing:
        """The original message, with headers that give its origin and the error.

        Parts that are too large for the topic are left out: the body, or the key and the original headers.
        """
        record, error = self.record, self.error
        keeps_headers = record.size - len(record.value) <= source.max_message_bytes
        details = origin_headers(
            error.reason, str(error), record.topic_partition, record.offset, bytes=len(record.value)
        )
        return Outgoing(
            source.topics.dead_letters,
            record.key if keeps_headers else None,
            record.value if error.reason != "too_large" else b"",
            headers=(*(record.headers if keeps_headers else ()), *details),
        )


def origin_headers(
    reason: str, error: str, partition: Partition, offset: int, **counts: int
) -> tuple[tuple[str, bytes], ...]:
    """Headers of a dead letter that say what is wrong, where, and how much there is of it."""
    topic, number = partition
    details = {
        "reason": reason,
        "error": error[:1000],
        "topic": topic,
        "partition": number,
        "offset": offset,
        **counts,
    }
    return tuple((f"driftwatch-{name}", str(value).encode()) for name, value in details.items())
