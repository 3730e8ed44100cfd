"""A client that pipelines requests and hangs up leaves no traceback in the log."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from driftwatch.serve.http import Listener
from tests.patience import PATIENCE_S

REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def test_a_hang_up_ends_all_requests_of_its_connection(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[Request] = []
    hung_up = threading.Event()

    async def answer(request: Request) -> Response:
        asked.append(request)
        if len(asked) == 2:
            while not await request.is_disconnected():
                await asyncio.sleep(0.01)
            hung_up.set()
        return Response("a")

    listener = Listener("127.0.0.1", 0, Starlette(routes=[Route("/", answer)]), name="server")
    listener.start()
    try:
        with socket.create_connection(("127.0.0.1", listener.port)) as client:
            client.sendall(3 * REQUEST)
            assert client.recv(1024).startswith(b"HTTP/1.1 200")
        assert hung_up.wait(PATIENCE_S)
    finally:
        listener.stop()
    assert len(asked) == 2
    assert not [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
