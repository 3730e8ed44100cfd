"""What a dead letter keeps of a message."""

from __future__ import annotations

import pytest
from kafka.record.default_records import DefaultRecordBatchBuilder

from driftwatch.config import KafkaSource
from driftwatch.errors import MessageError
from driftwatch.stream.dead_letters import DeadLetter
from driftwatch.stream.log import Outgoing, Record


def test_what_is_too_large_of_a_message_is_no_part_of_its_dead_letter() -> None:
    source = KafkaSource(kind="kafka", bootstrap_servers=["b:1"], topic="t", max_message_bytes=2_000)
    error = MessageError("is large", reason="too_large")
    labels = (("large", bytes(3_000)), ("small", b"x"))
    by_headers = DeadLetter(Record("t", 0, 1, 1, bytes(3_000), b"[1]", labels), error).message(source, 4_000)
    assert by_headers.key is None
    assert sum(len(value) for _, value in by_headers.headers) < 200
    by_body = DeadLetter(Record("t", 0, 1, 1, b"key", bytes(3_000), labels[1:]), error).message(source, 4_000)
    assert (by_body.key, by_body.value, by_body.headers[0]) == (b"key", b"", ("small", b"x"))


@pytest.mark.parametrize("size", [0, 1_000, 300_000])
def test_a_body_is_kept_if_the_letter_fits_in_the_topic_as_brokers_store_it(size: int) -> None:
    """A message near the limit of both topics was refused as a dead letter, and stopped its partition."""
    source = KafkaSource(kind="kafka", bootstrap_servers=["b:1"], topic="t")
    record = Record("t", 0, 1, 1, b"key", bytes(size), (("label", b"x"), ("label", b"")))
    letter = DeadLetter(record, MessageError("is no array", reason="malformed"))
    stored = stored_bytes(letter.message(source, 1 << 20))
    assert letter.message(source, stored + 150).value == record.value
    for limit in range(stored - 1, stored + 150):
        cut = letter.message(source, limit)
        assert stored_bytes(cut) <= limit
        assert cut.headers[-1] == ("driftwatch-bytes", str(size).encode())


def stored_bytes(message: Outgoing) -> int:
    batch = DefaultRecordBatchBuilder(2, 0, True, 1, 1, 1, 1 << 20)
    batch.append(0, 1 << 41, message.key, message.value, list(message.headers))
    return len(batch.build())
