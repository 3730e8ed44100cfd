"""What a dead letter keeps of a message."""

from __future__ import annotations

from driftwatch.config import KafkaSource
from driftwatch.errors import MessageError
from driftwatch.stream.dead_letters import DeadLetter
from driftwatch.stream.log import Record


def test_what_is_too_large_of_a_message_is_no_part_of_its_dead_letter() -> None:
    source = KafkaSource(kind="kafka", bootstrap_servers=["b:1"], topic="t", max_message_bytes=2_000)
    error = MessageError("is large", reason="too_large")
    labels = (("large", bytes(3_000)), ("small", b"x"))
    by_headers = DeadLetter(Record("t", 0, 1, 1, bytes(3_000), b"[1]", labels), error).message(source)
    assert by_headers.key is None
    assert sum(len(value) for _, value in by_headers.headers) < 200
    by_body = DeadLetter(Record("t", 0, 1, 1, b"key", bytes(3_000), labels[1:]), error).message(source)
    assert (by_body.key, by_body.value, by_body.headers[0]) == (b"key", b"", ("small", b"x"))
