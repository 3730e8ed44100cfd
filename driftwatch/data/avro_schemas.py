"""Decoding of bodies with Avro schemas of a registry to records."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import fastavro
from fastavro.read import LOGICAL_READERS
from fastavro.schema import SchemaParseException, UnknownType

from driftwatch.data.collecting import uncollected
from driftwatch.data.decimals import decimal_number
from driftwatch.data.record_sizes import RECORD, Room
from driftwatch.errors import MessageError

WRAPPER = "driftwatch_message"
OWN = "driftwatch-"
HELD = OWN + "held"
"""The logical type of all containers: fastavro has no other hook for having read one."""

ROOM = OWN + "room"
"""Key of a container's schema under which its `Room` is stored."""

PARSED = "__"
"""Prefix of the keys by which fastavro recognizes a parsed schema: one with such a key would not be checked."""

CONTAINERS = ("record", "error", "array", "map")
DEEPEST = 100
"""Most levels of a schema, as for Protobuf messages: fastavro recurses on the C stack."""

SECONDS: Mapping[str, float] = {
    "int-date": 86_400,
    "int-time-millis": 1e-3,
    "long-time-micros": 1e-6,
    **{
        f"long-{local}timestamp-{unit}": seconds
        for local in ("", "local-")
        for unit, seconds in {"millis": 1e-3, "micros": 1e-6, "nanos": 1e-9}.items()
    },
}

# What fastavro raises for bodies that do not fit their schema.
FAULTS = (EOFError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError)


@dataclass(frozen=True)
class _Extent:
    """Whether a value of a type takes any bytes at all, and how many levels it may have."""

    sized: bool
    levels: int


def avro_reader(schema: str, referenced: Sequence[str]) -> Callable[[bytes], Any]:
    """Make a function that decodes bodies written with a schema; times become seconds since 1970 or of the day.

    Args:
        schema: as JSON.
        referenced: schemas whose types it uses, as JSON, each after those that it refers to itself.

    Raises:
        MessageError: the schema cannot be used.
    """
    named: dict[str, Any] = {}
    room = Room("avro")
    try:
        for text in referenced:
            fastavro.parse_schema(_with_own_types(json.loads(text), room), named_schemas=named)
        # fastavro parses schemas other than records anew for every body; a record of one field has the same encoding.
        held = {"name": "held", "type": _with_own_types(json.loads(schema), room)}
        parsed = fastavro.parse_schema(
            {"type": "record", "name": WRAPPER, "fields": [held]}, named_schemas=named, expand=True
        )
        _require_bounded(parsed, (), {})
    except RecursionError:
        raise _too_deep() from None
    except (SchemaParseException, UnknownType, *FAULTS) as error:
        raise _unusable(f"is no Avro schema that can be read: {type(error).__name__}: {error}") from None

    def read(body: bytes) -> Any:
        room.open(len(body))
        stream = io.BytesIO(body)
        try:
            with uncollected(len(body)):
                record: Any = fastavro.schemaless_reader(stream, parsed, None)
        except FAULTS as error:
            what = str(error) or type(error).__name__
            raise MessageError(f"does not fit its schema: {what}"[:200], reason="malformed", where="avro") from None
        if left := len(body) - stream.tell():
            raise MessageError(f"has {left} bytes after its schema's last value", reason="malformed", where="avro")
        return record["held"]

    return read


def _with_own_types(schema: Any, room: Room, depth: int = 0) -> Any:
    """Replace logical types by this module's own, and give containers one that counts them.

    fastavro makes objects of dates, which may be out of their range, and of decimals, however long.
    """
    if depth > DEEPEST:
        raise _too_deep()
    if isinstance(schema, list):
        return [_with_own_types(each, room, depth + 1) for each in schema]
    if not isinstance(schema, dict):
        return schema
    owned = {
        key: _with_own_types(value, room, depth + 1) if key in ("type", "items", "values", "fields") else value
        for key, value in schema.items()
        if not key.startswith(PARSED)
    }
    if schema.get("type") in CONTAINERS:
        owned |= {"logicalType": HELD, ROOM: room}
    elif isinstance(schema.get("logicalType"), str):
        owned["logicalType"] = OWN + schema["logicalType"]
    return owned


def _require_bounded(schema: Any, within: tuple[str, ...], known: dict[int, _Extent]) -> _Extent:
    """Refuse schemas with which a short body could take unlimited resources.

    A type within itself may nest as deeply as a body has bytes, and fastavro recurses on the C stack; an array of
    values without size holds as many of them as a body claims.

    Args:
        schema: expanded, so a type that is named in many places is one object.
        within: names of the enclosing records.
        known: results for records seen before: in a chain of thirty records of which each contains the previous one
            twice, the last one contains a billion.
    """
    if isinstance(schema, str):
        if schema in within:
            raise _unusable(f"nests {schema} in itself, which is not supported")
        return _Extent(schema != "null", 1)
    if id(schema) in known:
        return known[id(schema)]
    kind = "union" if isinstance(schema, list) else schema["type"]
    parts, around = [], within
    if kind == "union":
        parts = schema
    elif kind in ("record", "error"):
        parts, around = [field["type"] for field in schema["fields"]], (*within, schema["name"])
    elif kind in ("array", "map"):
        parts = [schema["items" if kind == "array" else "values"]]
    held = [_require_bounded(part, around, known) for part in parts]
    sized = any(each.sized for each in held)
    if kind == "array" and not sized:
        raise _unusable("has an array of values without any size, which is not supported")
    if kind not in ("record", "error"):
        sized = bool(schema["size"]) if kind == "fixed" else kind != "null"
    extent = _Extent(sized, 1 + max((each.levels for each in held), default=0))
    if extent.levels > DEEPEST:
        raise _too_deep()
    known[id(schema)] = extent
    return extent


def _too_deep() -> MessageError:
    return _unusable(f"is nested too deeply: at most {DEEPEST} levels are supported")


def _unusable(what: str) -> MessageError:
    return MessageError(what[:200], reason="unsupported_format", where="avro")


def _seconds(unit: float, value: int, _schema: Any, _reader_schema: Any) -> float:
    return value * unit


def _decimal(value: Any, schema: Mapping[str, Any] | None, _reader_schema: Any) -> float:
    return decimal_number(value, int((schema or {}).get("scale", 0)))


def _held(value: Any, schema: Mapping[str, Any] | None, _reader_schema: Any) -> Any:
    room: Room = (schema or {})[ROOM]
    room.take(RECORD + (0 if isinstance(value, list) else len(value)))
    return value


for _type in CONTAINERS:
    LOGICAL_READERS[f"{_type}-{HELD}"] = _held
for _kind, _unit in SECONDS.items():
    _type, _, _name = _kind.partition("-")
    LOGICAL_READERS[f"{_type}-{OWN}{_name}"] = partial(_seconds, _unit)
for _type in ("bytes", "fixed"):
    LOGICAL_READERS[f"{_type}-{OWN}decimal"] = _decimal
