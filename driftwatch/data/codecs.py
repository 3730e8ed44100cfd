"""Wire formats: decoding of messages to samples, and encoding.

References:
    KServe V1 and V2 (Open Inference Protocol) inference requests; CloudEvents 1.0, binary and structured mode;
    Confluent's wire format.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from driftwatch.data.array_bodies import ARROW_MAGIC, NPY_MAGIC, read_arrow, read_npy, write_arrow, write_npy
from driftwatch.data.collecting import uncollected
from driftwatch.data.json_bodies import load_json, rows, rows_body, v1_body, v1_instances, v2_body, v2_tensors
from driftwatch.data.records import record_samples
from driftwatch.data.schema import Coerced, Samples, Schema
from driftwatch.data.schema_framing import Framed, framed
from driftwatch.errors import MessageError, UsageError

if TYPE_CHECKING:
    from driftwatch.data.schema_registry import SchemaRegistry

Headers = Mapping[str, bytes]

REGISTERED = ("avro", "protobuf")
STREAM_HEADER = "driftwatch-stream"
CLOUDEVENTS_JSON = "application/cloudevents+json"
CONTENT_TYPES = {
    "application/json": "json",
    "application/x-npy": "npy",
    "application/vnd.apache.arrow.stream": "arrow",
    CLOUDEVENTS_JSON: "cloudevents",
}

SILENT = frozenset({"application/x-www-form-urlencoded", "application/octet-stream", "text/plain"})
"""Content types that clients send by default, whatever the body is."""


def stream_names(headers: Headers, key: bytes | None, topic: str, value: bytes = b"") -> tuple[str, ...]:
    """The names that a message's stream may have, most explicit first.

    That is only the ``driftwatch-stream`` header if it exists; otherwise the CloudEvents attributes
    ``inferenceservicename`` and ``source``, the key, and the topic.

    Args:
        headers: of the message, by lower-case name.
        key: of the message.
        topic: of the message.
        value: parsed only for the attributes of a structured CloudEvent.
    """
    if headers.get(STREAM_HEADER):
        return (headers[STREAM_HEADER].decode(errors="replace"),)
    names = [
        headers[name].decode(errors="replace") for name in ("ce_inferenceservicename", "ce_source") if headers.get(name)
    ]
    if is_structured_event(headers):
        names += _structured_names(value)
    if key:
        names.append(key.decode(errors="replace"))
    return tuple(dict.fromkeys((*names, topic)))


def content_type_of(value: bytes, declared: str = "") -> str:
    """The content type of a body, from its first bytes; from its sender's declaration only if these are ambiguous.

    Clients of models label bodies arbitrarily, and labels are passed on: `curl` declares JSON as
    ``application/x-www-form-urlencoded``, as KServe's own documentation does.
    """
    media = _media_type(declared)
    if value.startswith(NPY_MAGIC):
        return "application/x-npy"
    if value.startswith(ARROW_MAGIC):
        return "application/vnd.apache.arrow.stream"
    if value[:64].lstrip().startswith((b"{", b"[")):
        return media if media.endswith("+json") else "application/json"
    return media


def decode(
    value: bytes,
    headers: Headers,
    schema: Schema,
    format: str = "auto",  # noqa: A002
    registry: SchemaRegistry | None = None,
) -> Coerced:
    """Decode the samples of a message, ``(N, *schema.shape)``.

    Args:
        value: the message's body.
        headers: by lower-case name; ``content-type`` or ``ce_datacontenttype`` declare the format.
        schema: of one sample.
        format: ``auto``, or the only format to accept.
        registry: has the schemas that messages refer to.

    Raises:
        MessageError: the message cannot be used; malformed input of any kind raises nothing else.
        RegistryError: the registry is needed, but does not answer.
    """
    try:
        return _decoded(value, headers, schema, format, registry)
    except RecursionError:  # parsers accept deeper nesting than Python can print
        raise MessageError("is nested too deeply", reason="malformed") from None


def _decoded(value: bytes, headers: Headers, schema: Schema, format: str, registry: SchemaRegistry | None) -> Coerced:  # noqa: A002
    if not value:
        raise MessageError("is empty", reason="empty", remedy="send samples")
    if format in ("auto", *REGISTERED):
        frame = framed(value, headers)
        if frame or format != "auto":
            return _registered_samples(frame, schema, format, registry)
    if format == "auto":
        format = _declared_format(_content_type(headers)) or _sniffed_format(value)  # noqa: A001
    return schema.coerce(_DECODERS[format](value, schema), where=format)


def encode(batch: Samples, schema: Schema, format: str = "json") -> tuple[bytes, dict[str, bytes]]:  # noqa: A002
    """Encode samples as a message; returns its body and headers.

    Args:
        batch: coerced samples ``(N, *schema.shape)``.
        schema: of one sample.
        format: ``json`` (KServe V1), ``v2``, ``rows``, ``npy`` or ``arrow``.

    Raises:
        UsageError: the format cannot carry such samples.
    """
    if format == "npy":
        return write_npy(batch, schema), {"content-type": b"application/x-npy"}
    if format == "arrow":
        return write_arrow(batch, schema), {"content-type": b"application/vnd.apache.arrow.stream"}
    if format in ("rows", "json", "v1", "v2"):
        body = {"rows": rows_body, "json": v1_body, "v1": v1_body, "v2": v2_body}[format](batch, schema)
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY), {"content-type": b"application/json"}
    raise UsageError(f"unknown format {format!r}", remedy="one of json, v2, rows, npy, arrow")


def _registered_samples(frame: Framed | None, schema: Schema, format: str, registry: SchemaRegistry | None) -> Coerced:  # noqa: A002
    if frame is None:
        raise MessageError(
            "names no schema", reason="malformed", where=format, remedy="expected Confluent's wire format"
        )
    if registry is None:
        raise MessageError(
            f"was written with schema {frame.schema} of a schema registry",
            reason="unsupported_format",
            remedy="set source.schema_registry to its address",
        )
    registered = registry.schema(frame.schema)
    if format not in ("auto", registered.format):
        raise MessageError(f"is {registered.format}", reason="unsupported_format", remedy=f"expected {format}")
    read = registered.read(frame.body)
    found = _json_samples(load_json(read), schema) if registered.format == "json" else record_samples(read, schema)
    return schema.coerce(found, where=registered.format)


def _content_type(headers: Headers) -> str:
    for name in ("content-type", "ce_datacontenttype"):
        if headers.get(name):
            return _media_type(headers[name].decode(errors="replace"))
    return ""


def _media_type(text: str) -> str:
    return text.split(";", maxsplit=1)[0].strip().lower()


def _declared_format(content_type: str) -> str:
    if content_type in SILENT:
        return ""
    if content_type and content_type not in CONTENT_TYPES and not content_type.endswith("+json"):
        raise MessageError(
            f"content type {content_type[:80]!r} is not known",
            reason="unsupported_format",
            remedy=f"one of {', '.join(CONTENT_TYPES)}",
        )
    return CONTENT_TYPES.get(content_type, "json") if content_type else ""


def _sniffed_format(value: bytes) -> str:
    if value.startswith(NPY_MAGIC):
        return "npy"
    return "arrow" if value.startswith(ARROW_MAGIC) else "json"


def is_structured_event(headers: Headers) -> bool:
    """Whether a message's sender declares it to be a structured CloudEvent."""
    return _content_type(headers) == CLOUDEVENTS_JSON


def structured_attributes(value: bytes) -> dict[str, str]:
    """The text attributes of a structured CloudEvent; empty if the body is none."""
    try:
        with uncollected(len(value)):
            event = orjson.loads(value)
    except orjson.JSONDecodeError:
        return {}  # decoding reports the problem
    if not isinstance(event, dict):
        return {}
    return {name: text for name, text in event.items() if name != "data" and isinstance(text, str)}


def _structured_names(value: bytes) -> list[str]:
    event = structured_attributes(value)
    return [event[name] for name in ("inferenceservicename", "source") if event.get(name)]


def _json_samples(body: Any, schema: Schema) -> Any:
    """The samples in a JSON body of any known form."""
    if isinstance(body, dict):
        if "instances" in body or isinstance(body.get("predictions"), list):
            return v1_instances(body)
        if isinstance(body.get("inputs", body.get("outputs")), list):
            return v2_tensors(body, schema)
        if "specversion" in body:
            return _event_samples(body, schema)
        if schema.kind != "table":
            raise MessageError(
                f"is a JSON object with keys {', '.join(map(repr, list(body)[:5]))}"[:200],
                reason="schema",
                remedy="expected 'instances' (KServe V1), 'inputs' (V2) or an array",
            )
    return body


def _event_samples(event: Any, schema: Schema) -> Any:
    if not isinstance(event, dict) or "specversion" not in event:
        raise MessageError("is no structured CloudEvent", reason="schema", remedy="expected 'specversion' and 'data'")
    if "data_base64" in event:
        try:
            value = base64.b64decode(event["data_base64"], validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise MessageError("'data_base64' is not base64", reason="malformed") from None
        declared = event.get("datacontenttype")
        inner = _declared_format(_media_type(declared) if isinstance(declared, str) else "") or _sniffed_format(value)
        if not value:
            raise MessageError("has empty 'data_base64'", reason="empty")
        return (
            _json_samples(_flat(load_json(value)), schema)
            if inner in ("json", "cloudevents")
            else _DECODERS[inner](value, schema)
        )
    if "data" not in event:
        raise MessageError("has no 'data'", reason="empty")
    return _json_samples(_flat(event["data"]), schema)


def _flat(data: Any) -> Any:
    if isinstance(data, dict) and "specversion" in data:
        raise MessageError("holds a CloudEvent within a CloudEvent", reason="unsupported_format")
    return data


_DECODERS: Mapping[str, Callable[[bytes, Schema], Any]] = {
    "json": lambda value, schema: _json_samples(load_json(value), schema),
    "v1": lambda value, _: v1_instances(load_json(value)),
    "v2": lambda value, schema: v2_tensors(load_json(value), schema),
    "rows": lambda value, _: rows(load_json(value)),
    "npy": lambda value, _: read_npy(value),
    "arrow": read_arrow,
    "cloudevents": lambda value, schema: _event_samples(load_json(value), schema),
}
