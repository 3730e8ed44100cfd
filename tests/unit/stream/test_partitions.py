"""A partition is read to its end, however long that takes, unless nothing comes any more."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from driftwatch.stream import partitions
from driftwatch.stream.partitions import STUCK_S, read_to_end

PLACE = TopicPartition("state", 0)


class Slow:
    """A consumer that needs most of the time limit for each message, and gets no further than `stuck`."""

    def __init__(self, stuck: int) -> None:
        self.now_s, self._stuck, self._next = 0.0, stuck, 0

    def assign(self, places: list[TopicPartition]) -> None:
        assert places == [PLACE]

    def seek_to_beginning(self, _: TopicPartition) -> None:
        self._next = 0

    def position(self, _: TopicPartition, timeout_ms: int) -> int:
        return self._next

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[int]]:
        self.now_s += 0.9 * STUCK_S
        if self._next == self._stuck:
            return {}
        self._next += 1
        return {PLACE: [self._next - 1]}


@pytest.mark.parametrize("stuck", [5, 3])
def test_reading_ends_at_the_end_or_where_nothing_comes(monkeypatch: pytest.MonkeyPatch, stuck: int) -> None:
    """A state topic that took more than a minute to read could never be read."""
    consumer = Slow(stuck)
    monkeypatch.setattr(partitions, "time", SimpleNamespace(monotonic=lambda: consumer.now_s))
    reading = read_to_end(consumer, PLACE, 5)
    assert [next(reading) for _ in range(stuck)] == list(range(stuck))
    if stuck == 5:
        assert list(reading) == []
    else:
        with pytest.raises(KafkaTimeoutError, match="state/0 cannot be read beyond 3"):
            next(reading)
