"""What comes by HTTP: the bounded queue that it waits in, and what it is as a message of a log."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from driftwatch.config import HttpSource
from driftwatch.config.intake import RESPONSES
from driftwatch.data.codecs import (
    CLOUDEVENTS_JSON,
    STREAM_HEADER,
    content_type_of,
    stream_names,
    structured_attributes,
)
from driftwatch.stream.events import IntakeQueued
from driftwatch.stream.log import Record, event_time

TOPIC = "http"
WAIT_S = 0.2
"""How long to wait for a message, before a stop is looked for again."""

TAKE_MESSAGES, TAKE_BYTES = 256, 8 << 20
"""What is taken off the queue at a time; it bounds what is held beside the queue."""

DRAIN_S = 2.5
"""How long a stopping daemon goes on with what is queued; less than it is given to stop."""

RESPONSE_TYPE = "org.kubeflow.serving.inference.response"
"""Of KServe's inference logger; all other events are taken for requests."""


@dataclass(frozen=True)
class Posted:
    """A request's body as it was accepted.

    Args:
        value: the body.
        headers: those that matter, by lower-case name, as they came.
        model: that the path names; empty if none.
        arrived_ms: when, milliseconds since the epoch.
    """

    value: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    model: str
    arrived_ms: int

    @property
    def size(self) -> int:
        """Bytes of body and headers."""
        return len(self.value) + size_of(self.headers)


def size_of(headers: Sequence[tuple[bytes, bytes]]) -> int:
    """Bytes of headers."""
    return sum(len(name) + len(value) for name, value in headers)


class IntakeQueue:
    """A queue bounded in messages and in bytes, that never makes its producer wait. Thread-safe.

    Args:
        messages: the most that wait.
        size: the most bytes of theirs, of bodies that are still being read too.
    """

    def __init__(self, messages: int, size: int) -> None:
        self._limits = messages, size
        self._held: deque[Posted] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def claim(self, size: int) -> bool:
        """Sets room aside for bytes that come in; tells whether there is any."""
        with self._changed:
            if len(self._held) >= self._limits[0] or self._bytes + size > self._limits[1]:
                return False
            self._bytes += size
            return True

    def release(self, size: int) -> None:
        """Gives back room that was claimed."""
        with self._changed:
            self._bytes -= size

    def put(self, message: Posted) -> bool:
        """Takes a message whose bytes were claimed; tells whether it did, and the claim stands."""
        with self._changed:
            if self._closed or len(self._held) >= self._limits[0]:
                return False
            self._held.append(message)
            self._changed.notify()
            return True

    def take(self, wait_s: float) -> list[Posted]:
        """Some messages from the front, after waiting for one; none if none came."""
        with self._changed:
            if not self._held and not self._closed:
                self._changed.wait(wait_s)
            taken: list[Posted] = []
            size = 0
            while self._held and len(taken) < TAKE_MESSAGES and size < TAKE_BYTES:
                taken.append(self._held.popleft())
                size += taken[-1].size
            self._bytes -= size
            return taken

    def close(self) -> None:
        """Takes nothing more in; what is held can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken in."""
        return self._closed

    def depth(self) -> IntakeQueued:
        """What waits."""
        with self._changed:
            return IntakeQueued(len(self._held), self._bytes)


def record_of(posted: Posted, offset: int, source: HttpSource, stream: str | None) -> Record | None:
    """A request as a message of a log; None if it is a response, and those are ignored.

    HTTP's ``ce-x`` headers get Kafka's names ``ce_x``, and the body the content type that it has.

    Args:
        posted: the request.
        offset: of the message.
        source: what is to become of responses.
        stream: of requests that name none.
    """
    headers: dict[str, bytes] = {}
    for raw, value in posted.headers:
        name = raw.decode("latin-1")
        if name.startswith("ce-"):
            # Values in this binding are percent-encoded (CloudEvents, HTTP protocol binding, 3.1.3.2).
            headers[f"ce_{name[3:]}"] = unquote(value.decode("latin-1")).encode() if b"%" in value else value
        else:
            headers[name] = value
    told = headers.pop("content-type", b"").decode("latin-1")
    if content_type := content_type_of(posted.value, told):
        headers["content-type"] = content_type.encode("latin-1")
    attributes = {name[3:]: value.decode(errors="replace") for name, value in headers.items() if name.startswith("ce_")}
    if content_type == CLOUDEVENTS_JSON:
        attributes = structured_attributes(posted.value)
    key = posted.model or ("" if STREAM_HEADER in headers or attributes else stream or "")
    names = stream_names(headers, key.encode(), TOPIC, posted.value)
    if attributes.get("type") == RESPONSE_TYPE:
        if source.responses == "ignore":
            return None
        headers[STREAM_HEADER] = f"{names[0]}{RESPONSES}".encode()
    return Record(
        TOPIC,
        0,
        offset,
        event_time_ms(attributes.get("time", ""), posted.arrived_ms),
        names[0].encode() if names[0] != TOPIC else None,
        posted.value,
        tuple(headers.items()),
    )


def event_time_ms(told: str, arrived_ms: int) -> int:
    """When an event happened: as told, if that is a time with a zone before it arrived; else when it arrived.

    >>> event_time_ms("2026-01-01T00:00:00Z", 1_800_000_000_000)
    1767225600000
    >>> event_time_ms("2999-01-01T00:00:00Z", 1_800_000_000_000)
    1800000000000
    >>> event_time_ms("yesterday", 1_800_000_000_000)
    1800000000000
    """
    try:
        time = datetime.fromisoformat(told)
    except ValueError:
        return arrived_ms
    if time.tzinfo is None:
        return arrived_ms
    return min(event_time(int(time.timestamp() * 1000)), arrived_ms)


class Closing:
    """A role's way out: the queue is closed when a stop is asked for, and emptied for a short while.

    Args:
        stop: asks for it.
        queue: to be closed then.
    """

    def __init__(self, stop: threading.Event, queue: IntakeQueue) -> None:
        self._stop = stop
        self._queue = queue
        self._deadline: float | None = None

    def done(self) -> bool:
        """Whether a stop was asked for, and the queue is empty or time is up."""
        return self.late() or (self._deadline is not None and not self._queue.depth().messages)

    def late(self) -> bool:
        """Whether a stop was asked for so long ago that nothing more is to be done."""
        if not self._stop.is_set():
            return False
        if self._deadline is None:
            self._deadline = time.monotonic() + DRAIN_S
            self._queue.close()
        return time.monotonic() > self._deadline
