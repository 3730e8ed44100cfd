"""The HTTP face of the intake: answers at once, and never makes a model wait.

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
from driftwatch.stream.intake import RESPONSE_TYPE, IntakeQueue, Posted, size_of
from driftwatch.tracing import UNTRACED, Tracer, context_of, is_sampled

READ_S = 10.0
"""How long a body may take to come in."""

MODEL = re.compile(rb"/v2/models/([^/]+)(?:/versions/[^/]+)?/infer|/v1/models/([^/:]+)(?::|%3[Aa])predict")
"""Of a path as it was sent: a name may hold ``/`` and ``:`` if they are encoded."""
KEPT = frozenset({b"content-type", b"driftwatch-stream", b"traceparent", b"tracestate"})
"""Headers that go on with a message, beside CloudEvents attributes; an authorization never does."""

CONTEXTS = (("traceparent", b"traceparent"), ("ce_traceparent", b"ce-traceparent"))
"""Headers that tell a request's trace, by the names that a message has for them."""

RESPONSE = RESPONSE_TYPE.encode()
CLOSE = (b"connection", b"close")
RETRY = (b"retry-after", b"1")


@dataclass(frozen=True)
class _Answer:
    """How a request is answered, and how it is counted."""

    status: HTTPStatus
    outcome: Outcome
    detail: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


_ACCEPTED = _Answer(HTTPStatus.ACCEPTED, "accepted")
_IGNORED = _Answer(HTTPStatus.ACCEPTED, "ignored")
# Not 503: a service mesh tries that again at once, Istio's by default, and counts it as a failure of the host.
_SHED = _Answer(HTTPStatus.TOO_MANY_REQUESTS, "shed", "the queue is full", (RETRY,))
_STOPPING = _Answer(HTTPStatus.SERVICE_UNAVAILABLE, "refused", "stopping", (RETRY, CLOSE))
_UNAUTHORIZED = _Answer(
    HTTPStatus.UNAUTHORIZED, "unauthorized", "no token, or a wrong one", ((b"www-authenticate", b"Bearer"), CLOSE)
)
_FOREIGN = _Answer(
    HTTPStatus.FORBIDDEN,
    "unauthorized",
    "of a page of another site: set source.token, or source.anonymous: true if a mirror passes on what browsers send",
    (CLOSE,),
)
_NOT_FOUND = _Answer(
    HTTPStatus.NOT_FOUND, "refused", "no such path: post to /, /v1/models/NAME:predict or /v2/models/NAME/infer"
)
_NOT_POST = _Answer(HTTPStatus.METHOD_NOT_ALLOWED, "refused", "only POST is taken", ((b"allow", b"POST"),))
_ENCODED = _Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "refused", "send the body without content-encoding", (CLOSE,))
_SLOW = _Answer(HTTPStatus.REQUEST_TIMEOUT, "refused", f"the body did not come in {READ_S:g} s", (CLOSE,))
_GONE = _Answer(HTTPStatus.BAD_REQUEST, "refused", "the sender hung up before the body was whole")


class Intake:
    """An ASGI application that puts what is posted into a queue.

    Args:
        source: who may post, and how much.
        queue: where it goes.
        observer: told of each request.
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
        # Only this machine reaches it then, and so do the pages that a browser of it has open, of whatever site.
        self._trusts_machine = source.token is None and not source.anonymous
        self._ignores_responses = source.responses == "ignore"
        self._most = source.max_message_bytes
        self._too_large = _Answer(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"at most {self._most} bytes are taken", (CLOSE,)
        )
        self._queue = queue
        self._observe = observer
        self._clock = clock
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        context = context_of({name: headers.get(header, b"") for name, header in CONTEXTS})
        with (self._tracer if is_sampled(context) else UNTRACED).span("intake", parent=context) as span:
            if span.context:
                headers[b"traceparent"] = span.context.encode()
            answer = self._without_body(scope, headers) or await self._take(scope, headers, receive)
            span.tell(outcome=answer.outcome, status=answer.status)
        self._observe(RequestAnswered(answer.outcome, answer.detail))
        body = f"{answer.detail}\n".encode() if answer.detail else b""
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": answer.status, "headers": [length, *answer.headers]})
        await send({"type": "http.response.body", "body": body})

    def _without_body(self, scope: Scope, headers: Mapping[bytes, bytes]) -> _Answer | None:
        """The answer to a request whose body need not be read; None if it is to be read."""
        if refusal := self._distrusts(headers):
            return refusal
        if scope["method"] != "POST":
            return _NOT_POST
        if scope["raw_path"] != b"/" and MODEL.fullmatch(scope["raw_path"]) is None:
            return _NOT_FOUND
        if headers.get(b"content-encoding", b"identity") != b"identity":
            return _ENCODED
        if self._ignores_responses and headers.get(b"ce-type") == RESPONSE:
            return _IGNORED
        return self._too_large if int(headers.get(b"content-length", b"0")) > self._most else None

    async def _take(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> _Answer:
        if self._queue.closed:
            return _STOPPING
        kept = tuple((name, told) for name, told in headers.items() if name in KEPT or name.startswith(b"ce-"))
        value = await self._read(receive, size_of(kept))
        if isinstance(value, _Answer):
            return value
        named = MODEL.fullmatch(scope["raw_path"])
        model = unquote(named[1] or named[2]) if named else ""
        posted = Posted(value, kept, model, int(self._clock() * 1000))
        if self._queue.put(posted):
            return _ACCEPTED
        self._queue.release(posted.size)
        return _STOPPING if self._queue.closed else _SHED

    def _distrusts(self, headers: Mapping[bytes, bytes]) -> _Answer | None:
        """The answer to one who may not post; None if its sender may."""
        if self._token is not None and not self._shows_token(headers.get(b"authorization", b"")):
            return _UNAUTHORIZED
        return _FOREIGN if self._trusts_machine and _is_foreign(headers.get(b"origin")) else None

    def _shows_token(self, authorization: bytes) -> bool:
        scheme, _, shown = authorization.partition(b" ")
        return hmac.compare_digest(shown.strip(), self._token or b"") and scheme.lower() == b"bearer"

    async def _read(self, receive: Receive, beside: int) -> bytes | _Answer:
        """The body; or why it is not taken.

        Bytes are claimed from the queue as they come, after `beside` others; of what is not taken none stay claimed.
        """
        if not self._queue.claim(beside):
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
                    refusal = self._refuses(message["type"], size, len(chunk))
                    if refusal is None:
                        size += len(chunk)
                        chunks.append(chunk)
        except TimeoutError:
            refusal = _SLOW
        if refusal is not None:
            self._queue.release(beside + size)
            return refusal
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _refuses(self, kind: str, size: int, more: int) -> _Answer | None:
        """Why the next bytes of a body are not taken; None if they are, and then they are claimed."""
        if kind == "http.disconnect":
            return _GONE
        if size + more > self._most:
            return self._too_large
        return None if self._queue.claim(more) else _SHED


def _is_foreign(origin: bytes | None) -> bool:
    """Whether a request is of a page that is not of this machine: browsers say of which it is, and nobody else does."""
    if origin is None:
        return False
    try:
        return not is_loopback(urlsplit(origin.decode("latin-1")).hostname or "")
    except ValueError:
        return True
