"""The network between daemons and a node, which can be cut, or held at a moment of somebody's transaction."""

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
    """Passes bytes between a port and another, until it is cut: then connections end, and new ones are refused.

    Args:
        port: where clients come.
        target: the port that they are passed on to.
        snare: is shown every request.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, target: int, snare: Snare) -> None:
        super().__init__(("127.0.0.1", port), _Passage)
        self.target, self.snare = target, snare
        self._cut = False
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def cut(self) -> None:
        """Ends all connections, and lets none begin."""
        with self._lock:
            self._cut = True
            for each in self._open:
                with suppress(OSError):  # it has ended by itself
                    each.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Lets connections begin again."""
        with self._lock:
            self._cut = False

    @contextmanager
    def held(self, client: socket.socket) -> Iterator[bool]:
        """Keeps a connection where `cut` finds it; tells whether it may begin."""
        with self._lock:
            allowed = not self._cut
            if allowed:
                self._open.add(client)
        try:
            yield allowed
        finally:
            with self._lock:
                self._open.discard(client)


class _Passage(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Proxy)
        # Whichever side is gone, the other one has nothing more to say.
        with self.server.held(self.request) as allowed, suppress(OSError):
            if allowed:
                _pass_on(self.request, self.server.target, self.server.snare)


def _pass_on(client: socket.socket, target: int, snare: Snare) -> None:
    """Passes bytes both ways, until one side has ended."""
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
    """A proxy that runs in threads of its own."""
    with proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()
