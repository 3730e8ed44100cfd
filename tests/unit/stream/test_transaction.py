"""A transaction that a broker never answers comes to an end."""

from __future__ import annotations

import threading

import pytest
from kafka.errors import KafkaTimeoutError, ProducerFencedError

from driftwatch.stream import transaction
from driftwatch.stream.transaction import Outgoing, commit


class Producer:
    """Does what kafka-python's does as far as `commit` can tell; `error` and `hang` are its broker's whims."""

    def __init__(self, *, error: Exception | None = None, hang: threading.Event | None = None) -> None:
        self.done: list[str] = []
        self._error, self._hang = error, hang

    def begin_transaction(self) -> None:
        self.done.append("begin")

    def send(self, topic: str, **_: object) -> Producer:
        self.done.append(f"send {topic}")
        return self

    def get(self, timeout: float) -> None:
        assert timeout == 0

    def flush(self) -> None:
        self.done.append("flush")

    def send_offsets_to_transaction(self, offsets: object, group: object) -> None:
        self.done.append(f"offsets {group}")

    def commit_transaction(self) -> None:
        if self._error:
            raise self._error
        if self._hang:
            self._hang.wait()
        self.done.append("commit")


class Consumer:
    def group_metadata(self) -> str:
        return "group"


MESSAGES = [Outgoing("panes", None, b"x")]
OFFSETS = {("inputs", 0): (7, "{}")}


def test_messages_and_offsets_in_one() -> None:
    producer = Producer()
    commit(producer, Consumer(), MESSAGES, OFFSETS)
    assert producer.done == ["begin", "send panes", "flush", "offsets group", "commit"]


def test_an_error_is_told_where_the_commit_was_asked_for() -> None:
    with pytest.raises(ProducerFencedError):
        commit(Producer(error=ProducerFencedError("by another")), Consumer(), MESSAGES, OFFSETS)


def test_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "TRANSACTION_TIMEOUT_MS", 50)
    answer = threading.Event()
    with pytest.raises(KafkaTimeoutError, match="not committed"):
        commit(Producer(hang=answer), Consumer(), MESSAGES, OFFSETS)
    answer.set()
