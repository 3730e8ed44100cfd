"""The HTTP intake's bounded queue, and how its requests become messages of a log."""

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
from driftwatch.data.codecs import STREAM_HEADER, stream_names
from driftwatch.data.content_types import content_type_of
from driftwatch.data.structured_events import structured_event
from driftwatch.stream.events import IntakeQueued
from driftwatch.stream.log import Record, event_time

TOPIC = "http"
WAIT_S = 0.2
"""How long to wait for a message before checking for a stop."""

TAKE_MESSAGES, TAKE_BYTES = 256, 8 << 20
"""What is taken off the queue at a time; bounds what is held in addition to the queue."""

DRAIN_S = 2.5
"""How long a stopping daemon continues with queued messages; less than the time it has to stop."""

RESPONSE_TYPE = "org.kubeflow.serving.inference.response"
"""Responses logged by KServe's inference logger; all other events count as requests."""


@dataclass(frozen=True)
class Posted:
    """The body of an accepted request.

    Args:
        value: the body.
        headers: the relevant ones, by lower-case name, in order.
        model: named by the path; empty if none.
        arrived_ms: when it arrived, milliseconds since the epoch.
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
    """A queue bounded in messages and in bytes that never blocks its producer. Thread-safe.

    Args:
        messages: the most messages that may wait.
        size: the most bytes, including bodies that are still being read.
    """

    def __init__(self, messages: int, size: int) -> None:
        self._limits = messages, size
        self._held: deque[Posted] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def claim(self, size: int) -> bool:
        """Reserve room for incoming bytes; return whether there is any."""
        with self._changed:
            if len(self._held) >= self._limits[0] or self._bytes + size > self._limits[1]:
                return False
            self._bytes += size
            return True

    def release(self, size: int) -> None:
        """Release reserved room."""
        with self._changed:
            self._bytes -= size

    def put(self, message: Posted) -> bool:
        """Add a message whose bytes were reserved; return whether there was room. If not, the reservation remains."""
        with self._changed:
            if self._closed or len(self._held) >= self._limits[0]:
                return False
            self._held.append(message)
            self._changed.notify()
            return True

    def take(self, wait_s: float) -> list[Posted]:
        """Take messages from the front, after waiting for one; empty if none came."""
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
        """Accept no more messages; those queued can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether no more messages are accepted."""
        return self._closed

    def depth(self) -> IntakeQueued:
        """What is queued."""
        with self._changed:
            return IntakeQueued(len(self._held), self._bytes)


def record_of(posted: Posted, offset: int, source: HttpSource, stream: str | None) -> Record | None:
    """The message of a log for a request; None for a response, if responses are ignored.

    HTTP headers ``ce-x`` become ``ce_x`` as in Kafka, and the content type is detected from the body where needed.

    Args:
        posted: the request.
        offset: of the message.
        source: says how to treat responses.
        stream: for requests that name none.
    """
    headers: dict[str, bytes] = {}
    for raw, value in posted.headers:
        name = raw.decode("latin-1")
        if name.startswith("ce-"):
            # Values in this binding are percent-encoded (CloudEvents, HTTP protocol binding, 3.1.3.2).
            headers[f"ce_{name[3:]}"] = unquote(value.decode("latin-1")).encode() if b"%" in value else value
        else:
            headers[name] = value
    declared = headers.pop("content-type", b"").decode("latin-1")
    if content_type := content_type_of(posted.value, declared):
        headers["content-type"] = content_type.encode("latin-1")
    attributes = {name[3:]: value.decode(errors="replace") for name, value in headers.items() if name.startswith("ce_")}
    if (event := structured_event(posted.value, headers)) is not None:
        attributes = dict(event.attributes)
    key = posted.model or ("" if STREAM_HEADER in headers or attributes else stream or "")
    names = stream_names(headers, key.encode(), TOPIC, event)
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


def event_time_ms(stated: str, arrived_ms: int) -> int:
    """The stated time of an event, if it has a zone and lies before the arrival; else the time of arrival.

    >>> event_time_ms("2026-01-01T00:00:00Z", 1_800_000_000_000)
    1767225600000
    >>> event_time_ms("2999-01-01T00:00:00Z", 1_800_000_000_000)
    1800000000000
    >>> event_time_ms("yesterday", 1_800_000_000_000)
    1800000000000
    """
    try:
        time = datetime.fromisoformat(stated)
    except ValueError:
        return arrived_ms
    if time.tzinfo is None:
        return arrived_ms
    return min(event_time(int(time.timestamp() * 1000)), arrived_ms)


class Closing:
    """A role's shutdown: closes the queue when a stop is requested, and allows a short time to empty it.

    Args:
        stop: set to request a stop.
        queue: to be closed.
    """

    def __init__(self, stop: threading.Event, queue: IntakeQueue) -> None:
        self._stop = stop
        self._queue = queue
        self._deadline: float | None = None

    def done(self) -> bool:
        """Whether a stop was requested, and the queue is empty or the time is up."""
        return self.late() or (self._deadline is not None and not self._queue.depth().messages)

    def late(self) -> bool:
        """Whether a stop was requested and the time is up."""
        if not self._stop.is_set():
            return False
        if self._deadline is None:
            self._deadline = time.monotonic() + DRAIN_S
            self._queue.close()
        return time.monotonic() > self._deadline
