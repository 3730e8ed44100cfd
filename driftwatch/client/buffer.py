"""Observations that wait to be sent: bounded in messages and bytes, grouped by what may share a message."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

from driftwatch.client.observation import Observation
from driftwatch.client.stats import Stats

Outcome = Literal["sampled_out", "sent", "dropped", "failed", "refused"]


@dataclass(frozen=True)
class Bounds:
    """How much may wait, and for how long.

    Args:
        messages: the most observations that may wait.
        size: the most bytes that these may hold.
        batch: bytes of observations at which they are sent without lingering.
        linger_s: seconds that an observation waits for others to share its message.
    """

    messages: int
    size: int
    batch: int
    linger_s: float


@dataclass(frozen=True)
class _Waiting:
    number: int
    due: float
    observation: Observation


class Buffer:
    """A queue between the threads that observe and the one that sends; counts the outcome of every observation.

    Observations being sent are held until they are settled, so that a slow sidecar cannot make memory grow.

    Args:
        bounds: on what it holds.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        lock = threading.RLock()  # reentrant: a client garbage-collected within one of these calls closes its buffer
        self._filled = threading.Condition(lock)
        self._emptied = threading.Condition(lock)
        self._ended = threading.Condition(lock)
        self._groups: dict[Hashable, deque[_Waiting]] = {}
        self._sending: list[_Waiting] = []
        self._count: Counter[str] = Counter()
        self._observed = self._held = self._size = self._requests = 0
        self._idle = self._hurry = self._closed = False

    @property
    def closed(self) -> bool:
        """Whether no more observations are accepted."""
        return self._closed

    def has_room(self) -> bool:
        """Whether reading another observation is worthwhile."""
        return not self._closed and self._held < self._bounds.messages and self._size < self._bounds.size

    def put(self, observation: Observation) -> bool:
        """Add an observation; if there is no room, return False and count it as dropped."""
        size = len(observation.body)
        with self._filled:
            self._observed += 1
            full = self._held >= self._bounds.messages or self._size + size > self._bounds.size
            if full or self._closed:
                self._count["dropped"] += 1
                return False
            waiting = _Waiting(self._observed, time.monotonic() + self._bounds.linger_s, observation)
            group = observation.group
            self._groups.setdefault(waiting.number if group is None else group, deque()).append(waiting)
            self._held += 1
            self._size += size
            # A lingering sender is not woken for each: at a thousand a second that alone would slow the caller down.
            if self._idle or self._size - size < self._bounds.batch <= self._size:
                self._filled.notify()
            return True

    def count(self, outcome: Outcome) -> None:
        """Count an observation that was never held."""
        with self._filled:
            self._observed += 1
            self._count[outcome] += 1

    def take(self) -> list[Observation] | None:
        """Wait for observations that share a message and are due; None when the buffer is closed and empty."""
        with self._filled:
            while not self._is_due():
                if not self._groups and self._closed:
                    return None
                self._idle = not self._groups
                self._filled.wait(None if self._idle else max(0.0, self._next().due - time.monotonic()))
                self._idle = False
            key = next(iter(self._groups))
            group = self._groups.pop(key)
            taken, size = [group.popleft()], 0
            while group and (size := size + len(taken[-1].observation.body)) < self._bounds.batch:
                taken.append(group.popleft())
            if group:
                self._groups[key] = group  # goes to the end: the other groups come first
            self._sending = taken
            return [waiting.observation for waiting in taken]

    def settle(self, outcome: Outcome, requests: int) -> None:
        """Release what was taken last.

        Args:
            outcome: of it.
            requests: made for it.
        """
        with self._filled:
            self._count[outcome] += len(self._sending)
            self._requests += requests
            self._held -= len(self._sending)
            self._size -= sum(len(waiting.observation.body) for waiting in self._sending)
            self._sending = []
            self._emptied.notify_all()

    def pause(self, seconds: float) -> None:
        """Wait, unless the buffer is closed meanwhile."""
        with self._filled:
            self._ended.wait_for(lambda: self._closed, seconds)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything held now is settled; False if that takes too long."""
        with self._filled:
            last = self._observed
            self._hurry = True
            self._filled.notify()
            try:
                return self._emptied.wait_for(lambda: not self._holds_before(last), timeout_s)
            finally:
                self._hurry = False

    def close(self) -> None:
        """Accept no more observations; those held are due at once."""
        with self._filled:
            self._closed = True
            self._filled.notify()
            self._ended.notify()

    def drop_all(self) -> int:
        """Count everything still held as dropped; return how many that is."""
        with self._filled:
            lost, self._held, self._size = self._held, 0, 0
            self._groups.clear()
            self._sending = []
            self._count["dropped"] += lost
            self._emptied.notify_all()
            return lost

    def stats(self) -> Stats:
        """Counts of all observations so far."""
        with self._filled:
            return Stats(
                observed=self._observed,
                queued=self._held,
                queued_bytes=self._size,
                requests=self._requests,
                **self._count,
            )

    def _is_due(self) -> bool:
        if not self._groups:
            return False
        hurried = self._hurry or self._closed or self._size >= self._bounds.batch
        return hurried or self._next().due <= time.monotonic()

    def _next(self) -> _Waiting:
        return next(iter(self._groups.values()))[0]

    def _holds_before(self, number: int) -> bool:
        held = [group[0] for group in self._groups.values()] + self._sending[:1]
        return any(waiting.number <= number for waiting in held)
