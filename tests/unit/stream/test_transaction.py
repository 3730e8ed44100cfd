"""A transaction that a broker never answers times out."""

from __future__ import annotations

import threading

import pytest
from kafka.errors import CommitFailedError, KafkaTimeoutError, ProducerFencedError
from kafka.structs import ConsumerGroupMetadata

from driftwatch.stream import transaction
from driftwatch.stream.log import Outgoing
from driftwatch.stream.transaction import commit


class Producer:
    """Behaves like kafka-python's producer as far as `commit` uses it; `error` and `hang` set what its broker does."""

    def __init__(self, *, error: Exception | None = None, hang: threading.Event | None = None) -> None:
        self.done: list[str] = []
        self._error, self._hang = error, hang

    def begin_transaction(self) -> None:
        self.done.append("begin")

    def send(self, topic: str, **_: object) -> Producer:
        if topic == "deleted":
            raise KafkaTimeoutError("Failed to update metadata after 15.0 secs.")
        self.done.append(f"send {topic}")
        return self

    def get(self, timeout: float) -> None:
        assert timeout == 0

    def flush(self) -> None:
        self.done.append("flush")

    def send_offsets_to_transaction(self, offsets: object, group: ConsumerGroupMetadata) -> None:
        self.done.append(f"offsets {group.member_id} of {group.generation_id}")

    def commit_transaction(self) -> None:
        if self._error:
            raise self._error
        if self._hang:
            self._hang.wait()
        self.done.append("commit")


MEMBER = ConsumerGroupMetadata("group", 3, "member", None)
MESSAGES = [Outgoing("panes", None, b"x")]
OFFSETS = {("inputs", 0): (7, "{}")}


def test_messages_and_offsets_are_committed_in_one_transaction() -> None:
    producer = Producer()
    commit(producer, MEMBER, MESSAGES, OFFSETS)
    assert producer.done == ["begin", "send panes", "flush", "offsets member of 3", "commit"]


@pytest.mark.parametrize("lost", [(-1, ""), (-1, "member")])
def test_a_replaced_member_commits_nothing(lost: tuple[int, str]) -> None:
    producer = Producer()
    with pytest.raises(CommitFailedError, match="lost its membership"):
        commit(producer, ConsumerGroupMetadata("group", *lost, None), MESSAGES, OFFSETS)
    assert producer.done == []


def test_an_error_of_the_producer_is_raised_by_commit() -> None:
    with pytest.raises(ProducerFencedError):
        commit(Producer(error=ProducerFencedError("by another")), MEMBER, MESSAGES, OFFSETS)


def test_a_topic_that_cannot_be_written_is_named() -> None:
    with pytest.raises(KafkaTimeoutError, match=r"topic 'deleted' cannot be written: .*Failed to update"):
        commit(Producer(), MEMBER, [Outgoing("deleted", None, b"x")], OFFSETS)


def test_commit_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "TRANSACTION_TIMEOUT_MS", 50)
    answer = threading.Event()
    with pytest.raises(KafkaTimeoutError, match="not committed"):
        commit(Producer(hang=answer), MEMBER, MESSAGES, OFFSETS)
    answer.set()
