"""The intake's HTTP endpoint: answers at once, and never makes a model wait.

References:
    CloudEvents 1.0, HTTP protocol binding; KServe's inference logger; KServe V1 and V2 (Open Inference Protocol) paths.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from starlette.types import Receive, Scope, Send

from driftwatch.config import HttpSource
from driftwatch.config.intake import is_loopback
from driftwatch.stream.events import Observer, Outcome, RequestAnswered
from driftwatch.stream.intake import RESPONSE_TYPE, Posted, size_of
from driftwatch.stream.intake_queue import IntakeQueue
from driftwatch.tracing import UNTRACED, Tracer, context_of, is_sampled

READ_S = 10.0
"""How long a body may take to arrive."""

MODEL = re.compile(rb"/v2/models/([^/]+)(?:/versions/[^/]+)?/infer|/v1/models/([^/:]+)(?::|%3[Aa])predict")
"""Matched against the raw path: a name may hold ``/`` and ``:`` if they are percent-encoded."""
FORWARDED_HEADERS = frozenset({b"content-type", b"driftwatch-stream", b"traceparent", b"tracestate"})
"""Headers that are passed on with a message, in addition to CloudEvents attributes; never an authorization."""

CONTEXTS = (("traceparent", b"traceparent"), ("ce_traceparent", b"ce-traceparent"))
"""Headers that carry a request's trace, by the names that a message has for them."""

RESPONSE = RESPONSE_TYPE.encode()
CLOSE = (b"connection", b"close")
RETRY = (b"retry-after", b"1")


@dataclass(frozen=True)
class _Answer:
    """The response to a request, and the outcome under which it is counted."""

    status: HTTPStatus
    outcome: Outcome
    detail: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


_ACCEPTED = _Answer(HTTPStatus.ACCEPTED, "accepted")
_IGNORED = _Answer(HTTPStatus.ACCEPTED, "ignored")
# Not 503: service meshes retry that at once (Istio does by default), and count it as a failure of the host.
_SHED = _Answer(HTTPStatus.TOO_MANY_REQUESTS, "shed", "the queue is full", (RETRY,))
_STOPPING = _Answer(HTTPStatus.SERVICE_UNAVAILABLE, "refused", "stopping", (RETRY, CLOSE))
_UNAUTHORIZED = _Answer(
    HTTPStatus.UNAUTHORIZED, "unauthorized", "no token, or a wrong one", ((b"www-authenticate", b"Bearer"), CLOSE)
)
_FOREIGN = _Answer(
    HTTPStatus.FORBIDDEN,
    "unauthorized",
    "sent by a page of another site: set source.token, or source.anonymous: true if browsers may post",
    (CLOSE,),
)
_NOT_FOUND = _Answer(
    HTTPStatus.NOT_FOUND, "refused", "no such path: post to /, /v1/models/NAME:predict or /v2/models/NAME/infer"
)
_NOT_POST = _Answer(HTTPStatus.METHOD_NOT_ALLOWED, "refused", "only POST is accepted", ((b"allow", b"POST"),))
_ENCODED = _Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "refused", "send the body without content-encoding", (CLOSE,))
_SLOW = _Answer(HTTPStatus.REQUEST_TIMEOUT, "refused", f"the body did not arrive within {READ_S:g} s", (CLOSE,))
_GONE = _Answer(HTTPStatus.BAD_REQUEST, "refused", "the sender disconnected before the body was complete")


class Intake:
    """An ASGI application that puts posted bodies into a queue.

    Args:
        source: who may post, and how much.
        queue: that they go into.
        observer: receives an event for each request.
        clock: seconds since the epoch.
        tracer: records the requests whose trace is sampled.
    """

    def __init__(
        self,
        source: HttpSource,
        queue: IntakeQueue,
        observer: Observer,
        clock: Callable[[], float] = time.time,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._token = source.token.get_secret_value().encode() if source.token else None
        # Only this machine can then connect, but so can any site's page that is open in a browser on it.
        self._trusts_machine = source.token is None and not source.anonymous
        self._ignores_responses = source.responses == "ignore"
        self._max_bytes = source.max_message_bytes
        self._too_large = _Answer(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"at most {self._max_bytes} bytes are accepted", (CLOSE,)
        )
        self._queue = queue
        self._observe = observer
        self._clock = clock
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        context = context_of({name: headers.get(header, b"") for name, header in CONTEXTS})
        with (self._tracer if is_sampled(context) else UNTRACED).span("intake", parent=context) as span:
            if span.context:
                headers[b"traceparent"] = span.context.encode()
            answer = self._answer_without_body(scope, headers) or await self._take(scope, headers, receive)
            span.set(outcome=answer.outcome, status=answer.status)
        self._observe(RequestAnswered(answer.outcome, answer.detail))
        body = f"{answer.detail}\n".encode() if answer.detail else b""
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": answer.status, "headers": [length, *answer.headers]})
        await send({"type": "http.response.body", "body": body})

    def _answer_without_body(self, scope: Scope, headers: Mapping[bytes, bytes]) -> _Answer | None:
        """The answer to a request whose body need not be read; None if it must be read."""
        if refusal := self._authorize(headers):
            return refusal
        if scope["method"] != "POST":
            return _NOT_POST
        if scope["raw_path"] != b"/" and MODEL.fullmatch(scope["raw_path"]) is None:
            return _NOT_FOUND
        if headers.get(b"content-encoding", b"identity") != b"identity":
            return _ENCODED
        if self._ignores_responses and headers.get(b"ce-type") == RESPONSE:
            return _IGNORED
        return self._too_large if int(headers.get(b"content-length", b"0")) > self._max_bytes else None

    async def _take(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> _Answer:
        if self._queue.closed:
            return _STOPPING
        forwarded = tuple(
            (name, text) for name, text in headers.items() if name in FORWARDED_HEADERS or name.startswith(b"ce-")
        )
        value = await self._read(receive, size_of(forwarded))
        if isinstance(value, _Answer):
            return value
        named = MODEL.fullmatch(scope["raw_path"])
        model = unquote(named[1] or named[2]) if named else ""
        posted = Posted(value, forwarded, model, int(self._clock() * 1000))
        if self._queue.put(posted):
            return _ACCEPTED
        self._queue.release(posted.size)
        return _STOPPING if self._queue.closed else _SHED

    def _authorize(self, headers: Mapping[bytes, bytes]) -> _Answer | None:
        """The answer to a sender that may not post; None if it may."""
        if self._token is not None and not self._has_token(headers.get(b"authorization", b"")):
            return _UNAUTHORIZED
        return _FOREIGN if self._trusts_machine and _is_foreign(headers.get(b"origin")) else None

    def _has_token(self, authorization: bytes) -> bool:
        scheme, _, token = authorization.partition(b" ")
        return hmac.compare_digest(token.strip(), self._token or b"") and scheme.lower() == b"bearer"

    async def _read(self, receive: Receive, reserved: int) -> bytes | _Answer:
        """The body, or the reason for not accepting it.

        Bytes are reserved in the queue as they arrive, after `reserved` others; if the body is not accepted, all are
        released.
        """
        if not self._queue.claim(reserved):
            return _SHED
        chunks: list[bytes] = []
        size, more = 0, True
        refusal: _Answer | None = None
        try:
            async with asyncio.timeout(READ_S):
                while more and refusal is None:
                    message = await receive()
                    chunk = message.get("body", b"")
                    more = message.get("more_body", False)
                    refusal = self._check_chunk(message["type"], size, len(chunk))
                    if refusal is None:
                        size += len(chunk)
                        chunks.append(chunk)
        except TimeoutError:
            refusal = _SLOW
        if refusal is not None:
            self._queue.release(reserved + size)
            return refusal
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _check_chunk(self, kind: str, size: int, more: int) -> _Answer | None:
        """Why the next bytes of a body are not accepted; None if they are, in which case they are reserved."""
        if kind == "http.disconnect":
            return _GONE
        if size + more > self._max_bytes:
            return self._too_large
        return None if self._queue.claim(more) else _SHED


def _is_foreign(origin: bytes | None) -> bool:
    """Whether a request comes from a web page that is not of this machine; only browsers send an origin."""
    if origin is None:
        return False
    try:
        return not is_loopback(urlsplit(origin.decode("latin-1")).hostname or "")
    except ValueError:
        return True
