"""Has a consumer read more from its sockets at once than kafka-python requests."""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer

READ_BYTES = 1 << 18


class RoomySocket:
    """A socket whose `recv` may return more bytes than requested, for readers that can take any number.

    kafka-python 3.0.12 requests 4 KB at a time: four thousand times for a response of 16 MB, releasing and acquiring
    the GIL each time. It joins what it gets, whatever the size.

    Args:
        held: the TCP or TLS socket.
    """

    def __init__(self, held: Any) -> None:
        self._held = held

    def recv(self, count: int) -> bytes:
        """Like `socket.recv`."""
        found: bytes = self._held.recv(max(count, READ_BYTES))
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._held, name)


def receive_more(consumer: KafkaConsumer) -> None:
    """Have the consumer's connections, including later ones, use `RoomySocket`; kafka-python has no public way."""
    manager = consumer._manager
    build = manager._build_transport

    async def build_transport(*args: Any, **options: Any) -> Any:
        transport = await build(*args, **options)
        transport._sock = RoomySocket(transport._sock)
        return transport

    manager._build_transport = build_transport
