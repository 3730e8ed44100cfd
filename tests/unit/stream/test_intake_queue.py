"""The intake's queue: it wakes its reader, accepts nothing once closed, and gives a limited number at a time."""

from __future__ import annotations

import threading

from driftwatch.stream.intake import Posted
from driftwatch.stream.intake_queue import IntakeQueue

MESSAGE = Posted(b'{"instances": [[1, 2, 3]]}', (), "", 1_800_000_000_000)


def test_wakes_a_waiting_reader() -> None:
    queue = IntakeQueue(10, 1_000)
    threading.Timer(0.05, lambda: queue.claim(MESSAGE.size) and queue.put(MESSAGE)).start()
    assert queue.take(30) == [MESSAGE]
    threading.Timer(0.05, queue.close).start()
    assert queue.take(30) == []


def test_a_closed_queue_gives_its_messages_and_accepts_none() -> None:
    queue = IntakeQueue(10, 1_000)
    assert queue.claim(MESSAGE.size)
    assert queue.put(MESSAGE)
    queue.close()
    assert not queue.put(MESSAGE)
    assert queue.take(0) == [MESSAGE]


def test_gives_a_limited_number_at_a_time() -> None:
    queue = IntakeQueue(1_000, 1 << 20)
    for _ in range(300):
        assert queue.claim(1)
        assert queue.put(Posted(b"1", (), "", 0))
    assert [len(queue.take(0)) for _ in range(3)] == [256, 44, 0]
    assert queue.depth().bytes == 0
