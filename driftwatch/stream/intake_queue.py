"""The HTTP intake's bounded queue, and how it is emptied when the daemon stops."""

from __future__ import annotations

import threading
import time
from collections import deque

from driftwatch.stream.events import IntakeQueued
from driftwatch.stream.intake import Posted

WAIT_S = 0.2
"""How long to wait for a message before checking for a stop."""

TAKE_MESSAGES, TAKE_BYTES = 256, 8 << 20
"""What is taken off the queue at a time; bounds what is held in addition to the queue."""

DRAIN_S = 2.5
"""How long a stopping daemon continues with queued messages; less than the time it has to stop."""


class IntakeQueue:
    """A queue bounded in messages and in bytes that never blocks its producer. Thread-safe.

    Args:
        messages: the most messages that may wait.
        size: the most bytes, including bodies that are still being read.
    """

    def __init__(self, messages: int, size: int) -> None:
        self._limits = messages, size
        self._held: deque[Posted] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def claim(self, size: int) -> bool:
        """Reserve room for incoming bytes; return whether there is any."""
        with self._changed:
            if len(self._held) >= self._limits[0] or self._bytes + size > self._limits[1]:
                return False
            self._bytes += size
            return True

    def release(self, size: int) -> None:
        """Release reserved room."""
        with self._changed:
            self._bytes -= size

    def put(self, message: Posted) -> bool:
        """Add a message whose bytes were reserved; return whether there was room. If not, the reservation remains."""
        with self._changed:
            if self._closed or len(self._held) >= self._limits[0]:
                return False
            self._held.append(message)
            self._changed.notify()
            return True

    def take(self, wait_s: float) -> list[Posted]:
        """Take messages from the front, after waiting for one; empty if none came."""
        with self._changed:
            if not self._held and not self._closed:
                self._changed.wait(wait_s)
            taken: list[Posted] = []
            size = 0
            while self._held and len(taken) < TAKE_MESSAGES and size < TAKE_BYTES:
                taken.append(self._held.popleft())
                size += taken[-1].size
            self._bytes -= size
            return taken

    def close(self) -> None:
        """Accept no more messages; those queued can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether no more messages are accepted."""
        return self._closed

    def depth(self) -> IntakeQueued:
        """What is queued."""
        with self._changed:
            return IntakeQueued(len(self._held), self._bytes)


class Closing:
    """A role's shutdown: closes the queue when a stop is requested, and allows a short time to empty it.

    Args:
        stop: set to request a stop.
        queue: to be closed.
    """

    def __init__(self, stop: threading.Event, queue: IntakeQueue) -> None:
        self._stop = stop
        self._queue = queue
        self._deadline: float | None = None

    def done(self) -> bool:
        """Whether a stop was requested, and the queue is empty or the time is up."""
        return self.late() or (self._deadline is not None and not self._queue.depth().messages)

    def late(self) -> bool:
        """Whether a stop was requested and the time is up."""
        if not self._stop.is_set():
            return False
        if self._deadline is None:
            self._deadline = time.monotonic() + DRAIN_S
            self._queue.close()
        return time.monotonic() > self._deadline
