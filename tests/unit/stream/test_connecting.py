"""How clients of Kafka connect: what a broker says last is heard."""

from __future__ import annotations

import socket
from typing import Any

from kafka.net.transport import KafkaTCPTransport

from driftwatch.stream import connecting


def test_what_came_before_the_end_is_passed_on_before_it() -> None:
    assert connecting.RECONNECT_MS, "importing it mends the transports of this process"
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        with theirs:
            theirs.sendall(b"you may not")
        transport: Any = KafkaTCPTransport.__new__(KafkaTCPTransport)
        transport._sock, transport._closed = ours, False
        assert transport._sock_recv() == (b"you may not", None)
        data, error = transport._sock_recv()
        assert (data, str(error)) == (b"", "KafkaConnectionError: socket disconnected")
