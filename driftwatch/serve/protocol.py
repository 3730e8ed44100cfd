"""The HTTP protocol of the listeners: uvicorn's on httptools, with limits on heads and connections."""

from __future__ import annotations

import asyncio
import resource
import time
from collections import deque

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MOST_HEAD_BYTES = 64 << 10
"""Limit on a request's line and headers, on trailers, and on a chunk's extensions; httptools has none."""

HEAD_S = 10.0
"""How long a request's head may take to arrive, or a body that is answered already; as long as a body that the intake
reads. uvicorn has no limit."""

_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
MOST_CONNECTIONS = 2_000 if _FILES == resource.RLIM_INFINITY else min(2_000, _FILES // 4)
"""Limit of one listener. Without it, a client that uses up all file descriptors would lock out all others, even probes,
and stop sinks and state files from being opened. With TLS, this many take a tenth of a GB."""


class BoundedProtocol(HttpToolsProtocol):
    """Rejects endless heads: otherwise each connection could fill the memory by itself.

    Connections whose head never ends, and those that never send anything, are closed; otherwise they would stay for
    ever, until no more fit. If there are too many, the one that has been idle longest is closed.
    """

    _head_bytes = 0
    _head_complete = False
    _timer: asyncio.TimerHandle | None = None
    _active_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Called once; from now on the connection is as idle as one between two requests."""
        super().connection_made(transport)
        self._unanswered = deque[RequestResponseCycle]()
        self._active_s = time.monotonic()  # uvloop's own clock counts whole milliseconds
        self._make_room()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called once."""
        self._stop_timer()
        # uvicorn tells only the latest of several pipelined requests, and logs a traceback when it answers another one.
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle bytes from the connection."""
        self._head_bytes += len(data)
        if not self._head_complete or self.cycle.response_complete:
            self._start_timer()
        super().data_received(data)
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"at most {MOST_HEAD_BYTES} bytes of headers are accepted")

    def on_message_begin(self) -> None:
        """Called by the parser; the bytes may have come with the end of the previous request."""
        self._start_timer()
        self._active_s = time.monotonic()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._stop_timer()
        super().on_headers_complete()
        self._head_complete = True
        while self._unanswered and self._unanswered[0].response_complete:
            self._unanswered.popleft()
        self._unanswered.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._stop_timer()
        self._head_bytes = 0
        self._head_complete = False
        super().on_message_complete()

    def _make_room(self) -> None:
        if len(self.connections) <= MOST_CONNECTIONS:
            return
        others = [each for each in self.connections if isinstance(each, BoundedProtocol) and each is not self]
        # The default is this one, if all others are being answered.
        idle = min((each for each in others if each._is_idle()), key=lambda each: each._active_s, default=self)
        # Aborted, not closed: closing would wait for a client that does not read its response.
        idle.transport.abort()

    def _is_idle(self) -> bool:
        return not self.transport.is_closing() and (self.cycle is None or bool(self.cycle.response_complete))

    def _start_timer(self) -> None:
        if self._timer is None:
            # `shutdown` is how uvicorn stops: a response under way is completed first.
            self._timer = self.loop.call_later(HEAD_S, self.shutdown)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
