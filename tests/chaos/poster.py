"""A client that posts samples to a daemon, one request after another, and each again until it is accepted."""

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
"""Between the event times of two messages, by which each is known again."""

RATE = 60.0
"""Messages a second."""

SPELL = 100
"""Messages, in every second lot of which the stream drifts."""

AGAIN_S = 0.05
"""After which a message that was not accepted is posted again."""

ANSWER_S = 60.0


@dataclass(frozen=True)
class Posting:
    """A request that was accepted, or may have been.

    Args:
        number: of the message.
        answered: whether its sender was told.
        at: when it was posted, monotonic seconds.
    """

    number: int
    answered: bool
    at: float


class Messages:
    """Messages by their number.

    Args:
        seed: of the samples; the same seed gives the same.
    """

    def __init__(self, seed: int) -> None:
        self._draw = np.random.default_rng(seed).integers
        self._usual, self._other = waves(POOL, seed), shuffled_rows(waves(POOL, seed + 1))
        self._made: list[tuple[bytes, dict[str, str]]] = []

    def __getitem__(self, number: int) -> tuple[bytes, dict[str, str]]:
        """Body and headers."""
        while len(self._made) <= number:
            self._made.append(self._make(len(self._made)))
        return self._made[number]

    def _make(self, number: int) -> tuple[bytes, dict[str, str]]:
        pool = self._other if number // SPELL % 2 else self._usual
        body, headers = encode(pool[self._draw(0, POOL, BATCH)], SCHEMA, ("npy", "json", "v2", "arrow")[number % 4])
        if number % UNUSABLE_EVERY == UNUSABLE_EVERY - 1:
            body = b"{" + body
        told = datetime.fromtimestamp((STARTED_MS + APART_MS * number) / 1000, UTC).isoformat()
        return body, {
            **{name: value.decode() for name, value in headers.items()},
            "ce-time": told,
            "driftwatch-stream": STREAM,
        }


def number_at(time_ms: int) -> int:
    """Of the message that has an event time."""
    return (time_ms - STARTED_MS) // APART_MS


class Poster(threading.Thread):
    """Posts messages until it is told to stop.

    Args:
        port: of the daemon, which may be away.
        messages: to post.
    """

    def __init__(self, port: int, messages: Messages) -> None:
        super().__init__(name="poster", daemon=True)
        self._port, self._messages = port, messages
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._posted: list[Posting] = []
        self._open: socket.socket | None = None

    def run(self) -> None:
        """Called by the thread."""
        number = 0
        while not self._over.wait(1 / RATE):
            while not self._accepted(number) and not self._over.wait(AGAIN_S):
                pass
            number += 1

    def end(self) -> None:
        """Stops."""
        self._over.set()
        self.join()

    @contextmanager
    def taken(self) -> Iterator[list[Posting]]:
        """What was posted since it was taken last, to a daemon that is gone; nothing is posted meanwhile."""
        with suppress(OSError):
            if self._open:
                # Not every network tells of a server that was killed before it took a connection up.
                self._open.shutdown(socket.SHUT_RDWR)
        with self._turn:
            posted, self._posted = self._posted, []
            yield posted

    def _accepted(self, number: int) -> bool:
        body, headers = self._messages[number]
        # Each by a connection of its own: of one that a dead daemon left it would not be clear who had the message.
        with self._turn, closing(HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_S)) as connection:
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
