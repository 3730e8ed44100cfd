"""The network between daemons and a node, which can be cut, or held at a moment within a transaction."""

from __future__ import annotations

import selectors
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.chaos.snare import Requests, Snare

CHUNK = 1 << 16


class Proxy(socketserver.ThreadingTCPServer):
    """Forwards bytes from a port to another, until it is cut: then connections end, and new ones are refused.

    Args:
        port: to listen on.
        target: the port to forward to.
        snare: sees every request.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, target: int, snare: Snare) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.target, self.snare = target, snare
        self._cut = False
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def cut(self) -> None:
        """End all connections, and refuse new ones."""
        with self._lock:
            self._cut = True
            for each in self._open:
                with suppress(OSError):  # already closed
                    each.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Accept connections again."""
        with self._lock:
            self._cut = False

    @contextmanager
    def registered(self, client: socket.socket) -> Iterator[bool]:
        """Register a connection, so that `cut` can end it; yields whether it is allowed."""
        with self._lock:
            allowed = not self._cut
            if allowed:
                self._open.add(client)
        try:
            yield allowed
        finally:
            with self._lock:
                self._open.discard(client)


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Proxy)
        # When one side is gone, the connection is over.
        with self.server.registered(self.request) as allowed, suppress(OSError):
            if allowed:
                _forward(self.request, self.server.target, self.server.snare)


def _forward(client: socket.socket, target: int, snare: Snare) -> None:
    """Forward bytes in both directions, until one side closes."""
    requests = Requests()
    with socket.create_connection(("127.0.0.1", target)) as broker, selectors.DefaultSelector() as ready:
        ready.register(client, selectors.EVENT_READ)
        ready.register(broker, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                data = key.fileobj.recv(CHUNK)
                if not data:
                    return
                if key.fileobj is broker:
                    client.sendall(data)
                    continue
                for request in requests.feed(data):
                    with snare.passing(request):
                        broker.sendall(request)


@contextmanager
def serving(proxy: Proxy) -> Iterator[Proxy]:
    """Run a proxy in threads."""
    with proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()
