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

from driftwatch.data.array_bodies import read_arrow, read_npy, write_arrow, write_npy
from driftwatch.data.content_types import Headers, declared_type, format_of, media_type
from driftwatch.data.json_bodies import load_json, rows, rows_body, v1_body, v1_instances, v2_body, v2_tensors
from driftwatch.data.records import record_samples
from driftwatch.data.schema import Coerced, Samples, Schema
from driftwatch.data.schema_framing import Framed, framed
from driftwatch.data.structured_events import StructuredEvent
from driftwatch.errors import MessageError, UsageError

if TYPE_CHECKING:
    from driftwatch.data.schema_registry import SchemaRegistry

REGISTERED = ("avro", "protobuf")
STREAM_HEADER = "driftwatch-stream"
NAMING = ("inferenceservicename", "source")
"""Attributes of CloudEvents that may name the stream, most explicit first."""


def stream_names(
    headers: Headers, key: bytes | None, topic: str, event: StructuredEvent | None = None
) -> tuple[str, ...]:
    """The names that a message's stream may have, most explicit first.

    That is only the ``driftwatch-stream`` header if it exists; otherwise the CloudEvents attributes
    ``inferenceservicename`` and ``source``, the key, and the topic.

    Args:
        headers: of the message, by lower-case name.
        key: of the message.
        topic: of the message.
        event: that it holds, if its sender declares one.
    """
    if headers.get(STREAM_HEADER):
        return (headers[STREAM_HEADER].decode(errors="replace"),)
    names = [headers[f"ce_{name}"].decode(errors="replace") for name in NAMING if headers.get(f"ce_{name}")]
    if event is not None:
        names += [event.attributes[name] for name in NAMING if event.attributes.get(name)]
    if key:
        names.append(key.decode(errors="replace"))
    return tuple(dict.fromkeys((*names, topic)))


def decode(
    value: bytes,
    headers: Headers,
    schema: Schema,
    format: str = "auto",  # noqa: A002
    registry: SchemaRegistry | None = None,
    event: StructuredEvent | None = None,
) -> Coerced:
    """Decode the samples of a message, ``(N, *schema.shape)``.

    Args:
        value: the message's body.
        headers: by lower-case name; ``content-type`` or ``ce_datacontenttype`` declare the format.
        schema: of one sample.
        format: ``auto``, or the only format to accept.
        registry: has the schemas that messages refer to.
        event: the body, if its sender declares a structured CloudEvent: it may be parsed already.

    Raises:
        MessageError: the message cannot be used; malformed input of any kind raises nothing else.
        RegistryError: the registry is needed, but does not answer.
    """
    try:
        return _decoded(value, headers, schema, format, registry, event)
    except RecursionError:  # parsers accept deeper nesting than Python can print
        raise MessageError("is nested too deeply", reason="malformed") from None


def _decoded(
    value: bytes,
    headers: Headers,
    schema: Schema,
    format: str,  # noqa: A002
    registry: SchemaRegistry | None,
    event: StructuredEvent | None,
) -> Coerced:
    if not value:
        raise MessageError("is empty", reason="empty", remedy="send samples")
    if format in ("auto", *REGISTERED):
        frame = framed(value, headers)
        if frame or format != "auto":
            return _registered_samples(frame, schema, format, registry)
    if format == "auto":
        format = format_of(value, declared_type(headers))  # noqa: A001
    if format in _ARRAYS:
        samples = _ARRAYS[format](value, schema)
    else:
        samples = _IN_JSON[format](event.parsed if event is not None else load_json(value), schema)
    return schema.coerce(samples, where=format)


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
        inner = format_of(value, media_type(declared) if isinstance(declared, str) else "")
        if not value:
            raise MessageError("has empty 'data_base64'", reason="empty")
        return _ARRAYS[inner](value, schema) if inner in _ARRAYS else _json_samples(_flat(load_json(value)), schema)
    if "data" not in event:
        raise MessageError("has no 'data'", reason="empty")
    return _json_samples(_flat(event["data"]), schema)


def _flat(data: Any) -> Any:
    if isinstance(data, dict) and "specversion" in data:
        raise MessageError("holds a CloudEvent within a CloudEvent", reason="unsupported_format")
    return data


_ARRAYS: Mapping[str, Callable[[bytes, Schema], Any]] = {
    "npy": lambda value, _: read_npy(value),
    "arrow": read_arrow,
}
_IN_JSON: Mapping[str, Callable[[Any, Schema], Any]] = {
    "json": _json_samples,
    "v1": lambda body, _: v1_instances(body),
    "v2": v2_tensors,
    "rows": lambda body, _: rows(body),
    "cloudevents": _event_samples,
}
