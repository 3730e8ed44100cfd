"""A client that posts samples to a daemon, one request after another, and repeats each until it is accepted."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

import numpy as np

from driftwatch.data.codecs import encode
from tests.chaos.feed import BATCH, POOL, UNUSABLE_EVERY
from tests.synthetic import SCHEMA, shuffled_rows, waves

STREAM = "waves"
STARTED_MS = 1_700_000_000_000
APART_MS = 1_000
"""Between the event times of consecutive messages, by which messages are identified."""

RATE = 60.0
"""Messages per second."""

SPELL = 100
"""Messages in a spell; the stream drifts in every second one."""

RETRY_S = 0.05
"""After this time a message that was not accepted is posted again."""

ANSWER_S = 60.0


@dataclass(frozen=True)
class Posting:
    """A request that was accepted, or may have been.

    Args:
        number: of the message.
        answered: whether the client received the answer that it was accepted.
        at: when it was posted, monotonic seconds.
    """

    number: int
    answered: bool
    at: float


class Messages:
    """Messages by number.

    Args:
        seed: of the samples; the same seed gives the same messages.
    """

    def __init__(self, seed: int) -> None:
        self._integers = np.random.default_rng(seed).integers
        self._normal, self._drifted = waves(POOL, seed), shuffled_rows(waves(POOL, seed + 1))
        self._made: list[tuple[bytes, dict[str, str]]] = []

    def __getitem__(self, number: int) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a message."""
        while len(self._made) <= number:
            self._made.append(self._make(len(self._made)))
        return self._made[number]

    def _make(self, number: int) -> tuple[bytes, dict[str, str]]:
        pool = self._drifted if number // SPELL % 2 else self._normal
        body, headers = encode(pool[self._integers(0, POOL, BATCH)], SCHEMA, ("npy", "json", "v2", "arrow")[number % 4])
        if number % UNUSABLE_EVERY == UNUSABLE_EVERY - 1:
            body = b"{" + body
        event_time = datetime.fromtimestamp((STARTED_MS + APART_MS * number) / 1000, UTC).isoformat()
        return body, {
            **{name: value.decode() for name, value in headers.items()},
            "ce-time": event_time,
            "driftwatch-stream": STREAM,
        }


def number_at(time_ms: int) -> int:
    """The number of the message with an event time."""
    return (time_ms - STARTED_MS) // APART_MS


class Poster(threading.Thread):
    """Posts messages until it is stopped.

    Args:
        port: of the daemon, which may be down.
        messages: to post.
    """

    def __init__(self, port: int, messages: Messages) -> None:
        super().__init__(name="poster", daemon=True)
        self._port, self._messages = port, messages
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._posted: list[Posting] = []
        self._open: socket.socket | None = None

    def run(self) -> None:
        """The thread's loop."""
        number = 0
        while not self._stopping.wait(1 / RATE):
            while not self._accepted(number) and not self._stopping.wait(RETRY_S):
                pass
            number += 1

    def end(self) -> None:
        """Stop."""
        self._stopping.set()
        self.join()

    @contextmanager
    def take_posted(self) -> Iterator[list[Posting]]:
        """What was posted since the last call, to a daemon that is down; posting pauses meanwhile."""
        with suppress(OSError):
            if self._open:
                # Not every network reports that a server was killed before it accepted a connection.
                self._open.shutdown(socket.SHUT_RDWR)
        with self._lock:
            posted, self._posted = self._posted, []
            yield posted

    def _accepted(self, number: int) -> bool:
        body, headers = self._messages[number]
        # A connection for each message: on one shared with a dead daemon, it would be unclear who received the message.
        with self._lock, closing(HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_S)) as connection:
            try:
                connection.connect()
            except OSError:
                return False
            at, self._open = time.monotonic(), connection.sock
            try:
                connection.request("POST", "/", body, headers)
                status = connection.getresponse().status
            except (OSError, HTTPException):
                self._posted.append(Posting(number, answered=False, at=at))
                return False
            if status == HTTPStatus.ACCEPTED:
                self._posted.append(Posting(number, answered=True, at=at))
            return status == HTTPStatus.ACCEPTED
