"""The state topic holds the last state of each stream, whatever else is written to it."""

from __future__ import annotations

from types import SimpleNamespace

from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from driftwatch.stream.state_topic import StateTopic


class Log:
    """A consumer of a topic with these messages."""

    def __init__(self, *messages: tuple[bytes | None, bytes | None]) -> None:
        self._messages = [SimpleNamespace(key=key, value=value, offset=i) for i, (key, value) in enumerate(messages)]
        self._next = 0

    def assign(self, _: list[TopicPartition]) -> None:
        self._next = 0

    def seek_to_beginning(self, _: TopicPartition) -> None:
        self._next = 0

    def position(self, _: TopicPartition, timeout_ms: int) -> int:
        return self._next

    def end_offsets(self, places: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        if any(place.partition for place in places):
            raise KafkaTimeoutError("there is but one partition")
        return dict.fromkeys(places, len(self._messages))

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[SimpleNamespace]]:
        self._next = len(self._messages)
        return {TopicPartition("state", 0): self._messages}


def test_the_last_state_of_each_stream_is_read() -> None:
    log = Log((b"a", b'{"quiet": 1}'), (b"b", b'{"quiet": 2}'), (b"a", b'{"quiet": 3}'))
    assert StateTopic("state", 1, log, log).read(0) == {"a": {"quiet": 3}, "b": {"quiet": 2}}


def test_a_deleted_state_is_gone_before_the_broker_compacts_the_topic() -> None:
    log = Log((b"a", b'{"quiet": 1}'), (b"a", None), (None, None), (b"b", None))
    assert StateTopic("state", 1, log, log).read(0) == {}


def test_messages_of_others_are_ignored() -> None:
    """One ended the daemon, and every later one at its start."""
    others = ((b"\xff\xfe", b"{}"), (b"a", b"not JSON"), (b"a", b"[1]"), (b"a", b"null"), (None, b"{}"), (b"", b"{}"))
    log = Log((b"a", b'{"quiet": 1}'), *others)
    assert StateTopic("state", 1, log, log).read(0) == {"a": {"quiet": 1}}


def test_partitions_added_to_the_panes_topic_alone_have_no_states() -> None:
    """Waiting for them stopped all testing."""
    log = Log((b"a", b'{"quiet": 1}'))
    assert StateTopic("state", 1, log, log).read(1) == {}
