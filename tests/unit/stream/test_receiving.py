"""Sockets that return more than the requested number of bytes."""

from __future__ import annotations

import socket

from driftwatch.stream.receiving import RoomySocket


def test_a_socket_returns_everything_received_so_far() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        sent = bytes(range(256)) * 64
        far.sendall(sent)
        roomy = RoomySocket(near)
        assert roomy.recv(4096) == sent
        assert roomy.fileno() == near.fileno()
