"""HTTP as the daemon speaks it: uvicorn's way over httptools, with bounds on what is no body."""

from __future__ import annotations

import asyncio
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 << 10
"""Of a request's line and headers, of trailers, or of a chunk's extensions; httptools itself has no limit."""

HEAD_S = 10.0
"""How long a request's line and headers may take to come in, or a body that is answered already; as long as a body that
the intake reads. uvicorn itself has no limit."""

_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
MOST_CONNECTIONS = 2_000 if _FILES == resource.RLIM_INFINITY else min(2_000, _FILES // 4)
"""Of one listener. Without a limit whoever opens as many as there are files for keeps all others out, probes too, and
sinks and state files from being opened; a tenth of a GB is what so many take with TLS."""


class BoundedProtocol(HttpToolsProtocol):
    """Refuses heads that go on and on: each connection could fill the memory by itself otherwise.

    Those that do not come to their end are given up, as are connections on which nothing ever comes: they would be kept
    for ever, until no more can be had. Where there are too many the one that has been idle for longest makes room.
    """

    _head_bytes = 0
    _head_whole = False
    _timer: asyncio.TimerHandle | None = None
    _used = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Called once; from now on the connection is as idle as one between two requests."""
        super().connection_made(transport)
        self._used = self.loop.time()
        self._make_room()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called once."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes bytes from a connection."""
        self._head_bytes += len(data)
        if not self._head_whole or self.cycle.response_complete:
            self._start_timer()
        super().data_received(data)
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"at most {MOST_HEAD_BYTES} bytes of headers are taken")

    def on_message_begin(self) -> None:
        """Called by the parser; the bytes may have come with the end of the request before."""
        self._start_timer()
        self._used = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._stop_timer()
        super().on_headers_complete()
        self._head_whole = True

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._stop_timer()
        self._head_bytes = 0
        self._head_whole = False
        super().on_message_complete()

    def _make_room(self) -> None:
        if len(self.connections) <= MOST_CONNECTIONS:
            return
        others = [each for each in self.connections if isinstance(each, BoundedProtocol) and each is not self]
        # This one, if all others are being answered.
        idle = min((each for each in others if each._is_idle()), key=lambda each: each._used, default=self)
        # Not closed: that would wait for one who does not read its answer.
        idle.transport.abort()

    def _is_idle(self) -> bool:
        return not self.transport.is_closing() and (self.cycle is None or bool(self.cycle.response_complete))

    def _start_timer(self) -> None:
        if self._timer is None:
            # Like uvicorn when it stops: what is being answered is answered first.
            self._timer = self.loop.call_later(HEAD_S, self.shutdown)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
