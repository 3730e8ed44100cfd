"""An HTTP server that records requests and gives the answers that a test chooses."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar


@dataclass
class Received:
    """A request."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Answer:
    """An answer: status, headers and text."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


class Receiver(ThreadingHTTPServer):
    """Gives the answers in turn, and repeats the last one from then on."""

    def __init__(self, answers: list[Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.received: list[Received] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Receiver)
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        server.received.append(Received(self.path, headers, body))
        answer = server.answers[min(len(server.received), len(server.answers)) - 1]
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.text)))
        self.end_headers()
        self.wfile.write(answer.text.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiver(*answers: Answer) -> Iterator[Receiver]:
    """A running receiver; it answers 204 unless other answers are given."""
    with serving(Receiver(list(answers) or [Answer()])) as server:
        yield server


ServerT = TypeVar("ServerT", bound=ThreadingHTTPServer)


@contextmanager
def serving(server: ServerT) -> Iterator[ServerT]:
    """Run a server in its own thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
