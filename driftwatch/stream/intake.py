"""How a request to the HTTP intake becomes a message of a log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from driftwatch.config import HttpSource
from driftwatch.config.intake import RESPONSES
from driftwatch.data.codecs import STREAM_HEADER, stream_names
from driftwatch.data.content_types import content_type_of
from driftwatch.data.structured_events import structured_event
from driftwatch.stream.log import Record, event_time

TOPIC = "http"

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
