"""Dead letters: messages that cannot be used, and the messages of the dead-letter topic that keep them."""

from __future__ import annotations

from dataclasses import dataclass

from driftwatch.config import KafkaSource
from driftwatch.errors import MessageError
from driftwatch.stream.events import DeadLettered
from driftwatch.stream.log import Outgoing, Partition, Record

FRAME_BYTES, HEADER_BYTES = 110, 10
"""At most what Kafka's format adds to a message that is written alone, and to each of its headers."""


@dataclass(frozen=True)
class DeadLetter:
    """A message that cannot be used, and why."""

    record: Record
    error: MessageError

    def __post_init__(self) -> None:
        """Forget where the error was raised: those frames hold the unit of work that holds this letter.

        Such cycles are freed by full garbage collections alone, of which there are few, and messages may be long.
        """
        self.error.__traceback__ = self.error.__context__ = None

    def event(self, stream: str) -> DeadLettered:
        """The event that reports it, for the stream that it belongs to."""
        record = self.record
        place = f"{record.topic}/{record.partition} at {record.offset}"
        return DeadLettered(stream, self.error.reason, f"{place}: {self.error}")

    def message(self, source: KafkaSource, limit: int) -> Outgoing:
        """The original message, with headers that give its origin and the error.

        Parts for which there is no room are left out: first the body, then the key and the original headers. A message
        that the topic refused would stop its partition for ever.

        Args:
            source: names the topic.
            limit: of bytes that the topic takes.
        """
        record, error = self.record, self.error
        details = origin_headers(
            error.reason, str(error), record.topic_partition, record.offset, bytes=len(record.value)
        )
        room = limit - FRAME_BYTES - sum(HEADER_BYTES + len(name) + len(value) for name, value in details)
        room -= record.size - len(record.value) + HEADER_BYTES * len(record.headers)
        keeps_value = error.reason != "too_large" and len(record.value) <= room
        return Outgoing(
            source.topics.dead_letters,
            record.key if room >= 0 else None,
            record.value if keeps_value else b"",
            headers=(*(record.headers if room >= 0 else ()), *details),
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
