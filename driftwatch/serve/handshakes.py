"""TLS for a listener, with bounds on the time before there is a connection: uvicorn's own has none that holds."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

import uvicorn

from driftwatch.serve.protocol import MOST_CONNECTIONS

HANDSHAKE_S = 10.0
"""How long a handshake may take, as long as a request's head."""

MOST_HANDSHAKES = MOST_CONNECTIONS
"""At a time; they are not among the connections yet."""

ACCEPT_AGAIN_S = 0.5
"""After which a connection is taken again, where there were no open files left."""


class TlsServer(uvicorn.Server):
    """Makes the connections of the sockets it is given by itself.

    Args:
        config: of the server.
        context: the certificate to show.
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
    """Takes connections from a socket; where too many do not get beyond their handshake, the oldest makes room.

    Args:
        listening: the socket.
        context: the certificate to show.
        make: makes the protocol of a connection.
    """

    def __init__(self, listening: socket.socket, context: ssl.SSLContext, make: Callable[[], asyncio.Protocol]) -> None:
        listening.setblocking(False)
        self._listening = listening
        self._context = context
        self._make = make
        self._loop = asyncio.get_running_loop()
        # In the order in which they came.
        self._under_way: dict[asyncio.Task[None], None] = {}
        self._accepting = self._loop.create_task(self._accept())

    def close(self) -> None:
        """Takes no more, and gives up what is under way."""
        for task in (self._accepting, *self._under_way):
            task.cancel()

    async def wait_closed(self) -> None:
        """Nothing is to be waited for."""

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._listening)
            except OSError:
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            task = self._loop.create_task(self._greet(connection))
            self._under_way[task] = None
            task.add_done_callback(self._under_way.pop)
            if len(self._under_way) > MOST_HANDSHAKES:
                next(iter(self._under_way)).cancel()

    async def _greet(self, connection: socket.socket) -> None:
        greeted = False
        try:
            with contextlib.suppress(OSError):  # of a handshake that fails, or takes too long
                await self._loop.connect_accepted_socket(
                    self._make, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
                )
                greeted = True
        finally:
            if not greeted:
                connection.close()
