"""A stand-in for a sidecar: an HTTP server in a thread that records requests and gives prescribed answers."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

DEADLINE_S = 20.0


@dataclass(frozen=True)
class Request:
    """A recorded request; headers by lower-case name."""

    path: str
    headers: dict[str, bytes]
    body: bytes
    connection: int


@dataclass
class Sidecar:
    """Listens on its own port within a ``with`` block.

    Args:
        answers: status and headers of the next answers, None to hang up instead; 202 when there are no more.
        waits: while it is cleared, no request is answered.
        port: to listen on; 0 for any.
    """

    answers: deque[tuple[int, dict[str, str]] | None] = field(default_factory=deque)
    waits: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self.waits.set()
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, count: int) -> list[Request]:
        """Wait until `count` requests have arrived, and return all so far."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, DEADLINE_S), self.requests
            return list(self.requests)

    def record(self, request: Request) -> tuple[int, dict[str, str]] | None:
        with self._changed:
            self.requests.append(request)
            answer = self.answers.popleft() if self.answers else (202, {})
            self._changed.notify_all()
        self.waits.wait(DEADLINE_S)
        return answer

    def __enter__(self) -> Self:
        sidecar = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                sidecar.connections += 1
                self.number = sidecar.connections

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value.encode("latin-1") for name, value in self.headers.items()}
                answer = sidecar.record(Request(self.path, headers, body, self.number))
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer[0])
                for name, value in answer[1].items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.waits.set()
        self._server.shutdown()
        self._server.server_close()
