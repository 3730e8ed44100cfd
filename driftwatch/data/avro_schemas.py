"""Avro schemas of a registry: bodies to records."""

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

WHOLE = "driftwatch_message"
OWN = "driftwatch-"
HELD = OWN + "held"
"""The logical type of whatever holds other values: fastavro has no other way to tell that it has read one."""

ROOM = OWN + "room"
"""Where the schema of one has its `Room`."""

PARSED = "__"
"""Of the keys by which fastavro knows a schema that it has parsed: one that claims to be would be looked at no more."""

CONTAINERS = ("record", "error", "array", "map")
DEEPEST = 100
"""Levels of a schema, as many as Protobuf's messages may have: fastavro's stack is C's."""

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
    """Whether a value of a type takes up any bytes at all, and how many levels it may have."""

    sized: bool
    levels: int


def avro_reader(schema: str, referenced: Sequence[str]) -> Callable[[bytes], Any]:
    """What reads bodies that are written by a schema; times are seconds, since 1970 or of the day.

    Args:
        schema: as JSON.
        referenced: schemas that it names types of, as JSON; each after those that it refers to itself.

    Raises:
        MessageError: the schema cannot be used.
    """
    named: dict[str, Any] = {}
    room = Room("avro")
    try:
        for text in referenced:
            fastavro.parse_schema(_with_own_types(json.loads(text), room), named_schemas=named)
        # fastavro parses a schema that is no record anew for every body. A record of one field is written as that is.
        held = {"name": "held", "type": _with_own_types(json.loads(schema), room)}
        parsed = fastavro.parse_schema(
            {"type": "record", "name": WHOLE, "fields": [held]}, named_schemas=named, expand=True
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
            told = str(error) or type(error).__name__
            raise MessageError(f"does not fit its schema: {told}"[:200], reason="malformed", where="avro") from None
        if left := len(body) - stream.tell():
            raise MessageError(f"holds {left} bytes more than its schema has", reason="malformed", where="avro")
        return record["held"]

    return read


def _with_own_types(schema: Any, room: Room, depth: int = 0) -> Any:
    """A schema whose logical types are read by this module, and whose records, lists and maps are counted.

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
    """Refuses what a short body could blow up.

    A type within itself may nest as deeply as a body has bytes, and fastavro's stack is C's; of values of no size an
    array holds as many as a body claims.

    Args:
        schema: expanded: a type that is named in many places is one object.
        within: names of the records around it.
        known: of records that were seen: of thirty that hold the one before twice the last holds a billion.
    """
    if isinstance(schema, str):
        if schema in within:
            raise _unusable(f"nests {schema} in itself, which is not read")
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
        raise _unusable("has an array of values without any size, which is not read")
    if kind not in ("record", "error"):
        sized = bool(schema["size"]) if kind == "fixed" else kind != "null"
    extent = _Extent(sized, 1 + max((each.levels for each in held), default=0))
    if extent.levels > DEEPEST:
        raise _too_deep()
    known[id(schema)] = extent
    return extent


def _too_deep() -> MessageError:
    return _unusable(f"is nested too deeply: {DEEPEST} levels are the most")


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
