"""Has a consumer take more from its sockets at once than kafka-python asks for."""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer

READ_BYTES = 1 << 18


class RoomySocket:
    """A socket that may give more bytes than it is asked for, for readers who take all that there is.

    kafka-python 3.0.12 asks for 4 KB at a time, of an answer of 16 MB four thousand times, and lets go of Python's lock
    and takes it again for each. It joins what it gets, however much that is.

    Args:
        held: the socket, of TCP or TLS.
    """

    def __init__(self, held: Any) -> None:
        self._held = held

    def recv(self, count: int) -> bytes:
        """As a socket's."""
        found: bytes = self._held.recv(max(count, READ_BYTES))
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._held, name)


def receive_more(consumer: KafkaConsumer) -> None:
    """Has its connections, also those still to be made, receive so; there is no public way to them."""
    manager = consumer._manager
    build = manager._build_transport

    async def build_transport(*args: Any, **options: Any) -> Any:
        transport = await build(*args, **options)
        transport._sock = RoomySocket(transport._sock)
        return transport

    manager._build_transport = build_transport
