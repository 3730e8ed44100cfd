"""ASGI middleware: sends a sidecar the bodies of the requests that a service answers.

app.add_middleware(ObserveMiddleware, client=Client("http://127.0.0.1:9464", stream="mine"), paths=["/predict"])
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping
from fnmatch import translate
from typing import Any

from driftwatch.client.client import Client
from driftwatch.errors import UsageError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PASSED_HEADERS = (b"traceparent", b"tracestate", b"x-request-id")
SAMPLED = 1


class ObserveMiddleware:
    """Copies what the application reads of a request's body, and observes it once the application is done.

    The application receives and sends as it would without it: nothing is read ahead or held back. A body is observed
    if the application read all of it, and answered with a 2xx status. Bodies of JSON (KServe V1, rows) share requests
    to the sidecar; others get one each.

    A request with a sampled W3C ``traceparent`` gets its own too, which passes on ``traceparent``, ``tracestate`` and
    ``x-request-id``. So does every request with one of these if the client does not linger (``linger_s=0``).

    Args:
        app: the application.
        client: for the sidecar; the application closes it, or else the process does at exit.
        paths: to observe, as shell patterns such as ``/v1/models/*:predict``; in a mapping, each with its stream.
        methods: to observe.
        max_body_bytes: larger bodies are not copied, and count as refused.
        only_successful: whether to leave out requests that are not answered with a 2xx status.

    Raises:
        UsageError: there is no path.
    """

    def __init__(
        self,
        app: App,
        *,
        client: Client,
        paths: Iterable[str] | Mapping[str, str],
        methods: Collection[str] = ("POST",),
        max_body_bytes: int = 1 << 20,
        only_successful: bool = True,
    ) -> None:
        streams = (
            dict(paths) if isinstance(paths, Mapping) else dict.fromkeys([paths] if isinstance(paths, str) else paths)
        )
        if not streams:
            raise UsageError("paths is empty", where="ObserveMiddleware", remedy="such as ['/predict']")
        self._app, self._client = app, client
        self._paths = [(re.compile(translate(pattern)), stream) for pattern, stream in streams.items()]
        self._methods = frozenset(method.upper() for method in methods)
        self._max_bytes, self._only_successful = max_body_bytes, only_successful

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["method"] not in self._methods:
            return await self._app(scope, receive, send)
        for pattern, stream in self._paths:
            if pattern.match(scope["path"]):
                return await self._serve(scope, receive, send, stream)
        return await self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, stream: str | None) -> None:
        copy = _Copy(self._max_bytes)

        async def receive_and_keep() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                copy.add(message)
            return message

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                copy.status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive_and_keep, send_and_note)
        finally:
            if copy.complete and (not self._only_successful or 200 <= copy.status < 300):
                self._observe(copy, dict(scope["headers"]), stream)

    def _observe(self, copy: _Copy, headers: Mapping[bytes, bytes], stream: str | None) -> None:
        encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
        if copy.size > self._max_bytes:
            self._client.refuse(
                "too large", f"a body of {copy.size} bytes is larger than max_body_bytes {self._max_bytes}"
            )
            return
        if encoding != "identity":
            self._client.refuse("encoded", f"a body is in content-encoding {encoding[:40]!r}, which is not supported")
            return
        content_type = headers.get(b"content-type")
        self._client.observe(
            b"".join(copy.chunks),
            stream=stream,
            content_type=None if content_type is None else content_type.decode("latin-1"),
            headers=self._passed(headers),
        )

    def _passed(self, headers: Mapping[bytes, bytes]) -> dict[str, str] | None:
        if self._client.shares_requests and not _is_sampled(headers.get(b"traceparent", b"")):
            return None
        return {name.decode(): headers[name].decode("latin-1") for name in PASSED_HEADERS if name in headers}


class _Copy:
    """The part of a request's body read so far, and the status of the response."""

    def __init__(self, max_bytes: int) -> None:
        self.chunks: list[bytes] = []
        self.size = self.status = 0
        self.complete = False
        self._max_bytes = max_bytes

    def add(self, message: Message) -> None:
        """Add a chunk, unless the whole is too large."""
        chunk = message.get("body", b"")
        self.size += len(chunk)
        if self.size > self._max_bytes:
            self.chunks.clear()
        else:
            self.chunks.append(chunk)
        self.complete = not message.get("more_body", False)


def _is_sampled(traceparent: bytes) -> bool:
    """Whether a trace is recorded, by the last flag of W3C's ``version-trace-parent-flags``."""
    try:
        return bool(int(traceparent.split(b"-")[3][:2], 16) & SAMPLED)
    except (IndexError, ValueError):
        return False
