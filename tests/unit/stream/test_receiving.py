"""Sockets that give more than they are asked for."""

from __future__ import annotations

import socket

from driftwatch.stream.receiving import RoomySocket


def test_a_socket_gives_all_that_has_come() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        sent = bytes(range(256)) * 64
        far.sendall(sent)
        roomy = RoomySocket(near)
        assert roomy.recv(4096) == sent
        assert roomy.fileno() == near.fileno()
