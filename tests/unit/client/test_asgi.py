"""The middleware reports bodies that were answered, and changes nothing for the application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from driftwatch.client import Client
from driftwatch.client.asgi import ObserveMiddleware
from driftwatch.errors import UsageError
from tests.sidecar import Sidecar

BODY = b'[{"age": 31, "city": "Ulm"}]'
SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def client(sidecar: Sidecar) -> Iterator[Client]:
    with Client(sidecar.url, stream="mine") as running:
        yield running


class App:
    """Reads all of a body, or some parts of it, and answers.

    Args:
        status: of the answer.
        parts: how many parts of the body to read; all if None.
        fails: whether to raise after the answer.
    """

    def __init__(self, status: int = 200, parts: int | None = None, *, fails: bool = False) -> None:
        self.status, self.parts, self.fails = status, parts, fails
        self.body = b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        read = 0
        while scope["type"] == "http" and (self.parts is None or read < self.parts):
            message = await receive()
            self.body += message.get("body", b"")
            read += 1
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
        if self.fails:
            raise RuntimeError("after the answer")


def ask(
    app: Any, *parts: bytes, path: str = "/predict", method: str = "POST", kind: str = "http", **headers: str
) -> list[Any]:
    """Send a request in parts; returns the messages of the answer."""
    fields = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
    }
    waiting = [{"type": "http.request", "body": part, "more_body": i < len(parts) - 1} for i, part in enumerate(parts)]
    sent: list[Any] = []

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def test_a_body_is_reported_once_it_was_answered(sidecar: Sidecar, client: Client) -> None:
    app = App()
    sent = ask(ObserveMiddleware(app, client=client, paths=["/predict"]), BODY[:5], BODY[5:9], BODY[9:])
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert app.body == BODY
    client.flush()
    (request,) = sidecar.requests
    assert request.body == BODY.replace(b" ", b"")
    assert request.headers["driftwatch-stream"] == b"mine"


@pytest.mark.parametrize(
    ("app", "changes"),
    [
        (App(404), {}),
        (App(500), {}),
        (App(parts=1), {}),
        (App(parts=0), {}),
        (App(), {"path": "/predict/other"}),
        (App(), {"path": "/v1/models/a/b"}),
        (App(), {"method": "PUT"}),
        (App(), {"kind": "websocket"}),
    ],
)
def test_other_requests_are_not_reported(sidecar: Sidecar, client: Client, app: App, changes: dict[str, Any]) -> None:
    middleware = ObserveMiddleware(app, client=client, paths=["/predict", "/v1/models/*:predict"])
    assert ask(middleware, BODY[:5], BODY[5:], **changes)[0]["status"] == app.status
    client.flush()
    assert client.stats().observed == 0


def test_an_incomplete_body_is_not_reported(client: Client) -> None:
    middleware = ObserveMiddleware(App(), client=client, paths="/predict")
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
    parts = iter([{"type": "http.request", "body": b"[", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(parts)

    async def send(_: Any) -> None:
        pass

    asyncio.run(middleware(scope, receive, send))
    assert client.stats().observed == 0


def test_failures_are_reported_on_request_and_stay_failures(client: Client) -> None:
    reporting = ObserveMiddleware(App(422), client=client, paths=["/predict"], only_successful=False)
    ask(reporting, BODY)
    with pytest.raises(RuntimeError, match="after the answer"):
        ask(ObserveMiddleware(App(fails=True), client=client, paths=["/predict"]), BODY)
    client.flush()
    assert client.stats().sent == 2


def test_streams_are_chosen_by_path(sidecar: Sidecar, client: Client) -> None:
    middleware = ObserveMiddleware(App(), client=client, paths={"/v1/models/*:predict": "flights", "/other": "b"})
    ask(middleware, BODY, path="/v1/models/x:predict")
    client.flush()
    assert sidecar.requests[0].headers["driftwatch-stream"] == b"flights"


def test_sampled_traces_are_continued(sidecar: Sidecar, client: Client) -> None:
    middleware = ObserveMiddleware(App(), client=client, paths=["/predict"])
    ask(middleware, BODY, traceparent=SAMPLED, tracestate="a=b", x_request_id="7")
    for traceparent in (SAMPLED[:-2] + "00", "nonsense", ""):
        ask(middleware, BODY, traceparent=traceparent, x_request_id="7")
    client.flush()
    traced, others = sorted(sidecar.requests, key=lambda request: len(request.body))
    assert (traced.headers["traceparent"], traced.headers["tracestate"]) == (SAMPLED.encode(), b"a=b")
    assert traced.headers["x-request-id"] == b"7"
    assert "traceparent" not in others.headers
    assert others.body.count(b"age") == 3


def test_each_request_carries_its_id_if_none_are_merged(sidecar: Sidecar) -> None:
    with Client(sidecar.url, linger_s=0) as client:
        middleware = ObserveMiddleware(App(), client=client, paths=["/predict"])
        for number in "12":
            ask(middleware, BODY, x_request_id=number)
        client.flush()
    assert [request.headers["x-request-id"] for request in sidecar.requests] == [b"1", b"2"]


def test_other_content_is_sent_unchanged(sidecar: Sidecar, client: Client) -> None:
    middleware = ObserveMiddleware(App(), client=client, paths=["/predict"])
    ask(middleware, b"\x93NUMPY...", content_type="application/x-npy")
    client.flush()
    assert sidecar.requests[0].body == b"\x93NUMPY..."
    assert sidecar.requests[0].headers["content-type"] == b"application/x-npy"


def test_bodies_that_cannot_be_reported_are_counted(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    middleware = ObserveMiddleware(app, client=client, paths=["/predict"], max_body_bytes=10)
    ask(middleware, b"123456", b"789", b"0ab")
    assert app.body == b"1234567890ab"
    ask(middleware, b"zipped", content_encoding="gzip")
    assert client.stats().refused == 2
    assert "larger than max_body_bytes 10" in caplog.text
    assert "content-encoding 'gzip'" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_paths_are_required(client: Client) -> None:
    with pytest.raises(UsageError, match="paths"):
        ObserveMiddleware(App(), client=client, paths=[])
