"""An intake that tests can post to."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from driftwatch.config import HttpSource
from driftwatch.serve.http import Listener
from driftwatch.serve.intake import Intake
from driftwatch.stream.events import Event, RequestAnswered
from driftwatch.stream.intake import Posted
from driftwatch.stream.intake_queue import IntakeQueue
from tests import plain_http


class Served:
    """An intake behind a real listener, its queue and its events."""

    def __init__(self, **source: Any) -> None:
        self.source = HttpSource.model_validate({"kind": "http", "port": 0, **source})
        self.queue = IntakeQueue(self.source.queue.messages, self.source.queue.bytes)
        self.events: list[Event] = []
        self.observed = threading.Event()
        self.intake = Intake(self.source, self.queue, self.observe, clock=lambda: 1_000.0)
        self.listener = Listener("127.0.0.1", 0, self.intake, name="source", tls=self.source.tls)
        self.listener.start()
        self.client = plain_http.Client(base_url=self.listener.url)

    def observe(self, event: Event) -> None:
        self.events.append(event)
        self.observed.set()

    def close(self) -> None:
        self.client.close()
        self.listener.stop()

    def outcomes(self) -> dict[str, int]:
        return Counter(event.outcome for event in self.events if isinstance(event, RequestAnswered))

    def taken(self) -> list[Posted]:
        return self.queue.take(0)

    def raw(self, *pieces: bytes) -> bytes:
        """The server's answer to raw bytes, until it closes the connection."""
        with socket.create_connection(("127.0.0.1", self.listener.port), timeout=10) as connection:
            for piece in pieces:
                connection.sendall(piece)
            answer = b""
            with contextlib.suppress(ConnectionResetError):  # it closed while bytes were still in flight
                while received := connection.recv(4096):
                    answer += received
            return answer


@pytest.fixture
def serve() -> Iterator[Any]:
    running: list[Served] = []

    def start(**source: Any) -> Served:
        running.append(Served(**source))
        return running[-1]

    yield start
    for each in running:
        each.close()
