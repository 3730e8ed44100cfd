"""TLS for a listener, with a time limit on handshakes: uvicorn's own limit does not hold."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

import uvicorn

from driftwatch.serve.protocol import MOST_CONNECTIONS

HANDSHAKE_S = 10.0
"""How long a handshake may take: as long as a request's head."""

MOST_HANDSHAKES = MOST_CONNECTIONS
"""At the same time, in addition to the established connections."""

ACCEPT_AGAIN_S = 0.5
"""When to accept again after running out of file descriptors."""


class TlsServer(uvicorn.Server):
    """Accepts the connections of its sockets itself, instead of leaving that to asyncio.

    Args:
        config: of the server.
        context: with the certificate to present.
    """

    def __init__(self, config: uvicorn.Config, context: ssl.SSLContext) -> None:
        super().__init__(config)
        self._context = context

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`."""
        await super().startup(sockets=[])
        self.servers = [Handshakes(each, self._context, self._protocol) for each in sockets or []]  # type: ignore[misc]

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


class Handshakes:
    """Accepts connections from a socket. If too many handshakes are pending, the oldest is cancelled.

    Args:
        listening: the socket.
        context: with the certificate to present.
        make: makes the protocol of a connection.
    """

    def __init__(self, listening: socket.socket, context: ssl.SSLContext, make: Callable[[], asyncio.Protocol]) -> None:
        listening.setblocking(False)
        self._listening = listening
        self._context = context
        self._make = make
        self._loop = asyncio.get_running_loop()
        # Oldest first.
        self._pending: dict[asyncio.Task[None], None] = {}
        self._accepting = self._loop.create_task(self._accept())

    def close(self) -> None:
        """Accept no more connections, and cancel pending handshakes."""
        for task in (self._accepting, *self._pending):
            task.cancel()

    async def wait_closed(self) -> None:
        """Required by uvicorn; there is nothing to wait for."""

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._listening)
            except OSError:
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            task = self._loop.create_task(self._handshake(connection))
            self._pending[task] = None
            task.add_done_callback(self._pending.pop)
            if len(self._pending) > MOST_HANDSHAKES:
                next(iter(self._pending)).cancel()

    async def _handshake(self, connection: socket.socket) -> None:
        established = False
        try:
            with contextlib.suppress(OSError):  # the handshake failed or took too long
                await self._loop.connect_accepted_socket(
                    self._make, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
                )
                established = True
        finally:
            if not established:
                connection.close()
