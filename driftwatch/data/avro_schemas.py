"""Avro schemas of a registry: bodies to records."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import fastavro
from fastavro.read import LOGICAL_READERS
from fastavro.schema import SchemaParseException, UnknownType

from driftwatch.data.decimals import decimal_number
from driftwatch.errors import MessageError

WHOLE = "driftwatch_message"
OWN = "driftwatch-"
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


def avro_reader(schema: str, referenced: Sequence[str]) -> Callable[[bytes], Any]:
    """What reads bodies that are written by a schema; times are seconds, since 1970 or of the day.

    Args:
        schema: as JSON.
        referenced: schemas that it names types of, as JSON; each after those that it refers to itself.

    Raises:
        MessageError: the schema cannot be used.
    """
    named: dict[str, Any] = {}
    try:
        for text in referenced:
            fastavro.parse_schema(_with_own_types(json.loads(text)), named_schemas=named)
        # fastavro parses a schema that is no record anew for every body. A record of one field is written as that is.
        held = {"name": "held", "type": _with_own_types(json.loads(schema))}
        parsed = fastavro.parse_schema(
            {"type": "record", "name": WHOLE, "fields": [held]}, named_schemas=named, expand=True
        )
        _require_bounded(parsed, ())
    except (SchemaParseException, UnknownType, *FAULTS) as error:
        raise _unusable(f"is no Avro schema that can be read: {type(error).__name__}: {error}") from None

    def read(body: bytes) -> Any:
        stream = io.BytesIO(body)
        try:
            record: Any = fastavro.schemaless_reader(stream, parsed, None)
        except FAULTS as error:
            told = str(error) or type(error).__name__
            raise MessageError(f"does not fit its schema: {told}"[:200], reason="malformed", where="avro") from None
        if left := len(body) - stream.tell():
            raise MessageError(f"holds {left} bytes more than its schema has", reason="malformed", where="avro")
        return record["held"]

    return read


def _with_own_types(schema: Any) -> Any:
    """A schema whose logical types are read by this module.

    fastavro makes objects of dates, which may be out of their range, and of decimals, however long.
    """
    if isinstance(schema, list):
        return [_with_own_types(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    owned = {
        key: _with_own_types(value) if key in ("type", "items", "values", "fields") else value
        for key, value in schema.items()
    }
    if isinstance(schema.get("logicalType"), str):
        owned["logicalType"] = OWN + schema["logicalType"]
    return owned


def _require_bounded(schema: Any, within: tuple[str, ...]) -> bool:
    """Refuses what a short body could blow up; tells whether a value takes up any bytes at all.

    A type within itself may nest as deeply as a body has bytes, and fastavro's stack is C's; of values of no size an
    array holds as many as a body claims.
    """
    if isinstance(schema, list):
        for each in schema:
            _require_bounded(each, within)
        return True
    if isinstance(schema, str):
        if schema in within:
            raise _unusable(f"nests {schema} in itself, which is not read")
        return schema != "null"
    kind = schema["type"]
    if kind in ("record", "error"):
        sized = [_require_bounded(field["type"], (*within, schema["name"])) for field in schema["fields"]]
        return any(sized)
    if kind == "array":
        if not _require_bounded(schema["items"], within):
            raise _unusable("has an array of values without any size, which is not read")
        return True
    if kind == "map":
        _require_bounded(schema["values"], within)
        return True
    return bool(schema["size"]) if kind == "fixed" else kind != "null"


def _unusable(what: str) -> MessageError:
    return MessageError(what[:200], reason="unsupported_format", where="avro")


def _seconds(unit: float, value: int, _schema: Any, _reader_schema: Any) -> float:
    return value * unit


def _decimal(value: Any, schema: Mapping[str, Any] | None, _reader_schema: Any) -> float:
    return decimal_number(value, int((schema or {}).get("scale", 0)))


for _kind, _unit in SECONDS.items():
    _type, _, _name = _kind.partition("-")
    LOGICAL_READERS[f"{_type}-{OWN}{_name}"] = partial(_seconds, _unit)
for _type in ("bytes", "fixed"):
    LOGICAL_READERS[f"{_type}-{OWN}decimal"] = _decimal
