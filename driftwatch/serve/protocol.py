"""HTTP as the daemon speaks it: uvicorn's way over httptools, with a bound on what is no body."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 << 10
"""Of a request's line and headers, of trailers, or of a chunk's extensions; httptools itself has no limit."""


class BoundedProtocol(HttpToolsProtocol):
    """Refuses heads that go on and on: each connection could fill the memory by itself otherwise."""

    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Takes bytes from a connection."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"at most {MOST_HEAD_BYTES} bytes of headers are taken")

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._head_bytes = 0
        super().on_message_complete()
