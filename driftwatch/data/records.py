"""Records of Avro and Protobuf messages as samples: rows by column name, or the numbers of one field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.array_bodies import NPY_MAGIC, read_npy
from driftwatch.data.schema import Schema, TableSchema
from driftwatch.errors import MessageError

Record = Mapping[str, Any]

ABSENT = object()


def record_samples(read: Any, schema: Schema) -> Any:
    """Convert a decoded record to what a schema's `coerce` takes.

    A record is one sample, or holds a list of records that are one sample each. The columns of a row are fields by
    name; those of nested records have dotted names. Samples other than rows are in one field, as lists of numbers or as
    bytes: the only such field, or the only one of the right size.

    Args:
        read: a record (fields by name), a list of records, or the content of a message without fields.
        schema: of one sample.

    Raises:
        MessageError: it holds no such samples, or several fields may hold them.
    """
    if isinstance(schema, TableSchema):
        return _rows(read, frozenset(column.name for column in schema.columns))
    return _numbers(read, schema)


def _rows(read: Any, names: frozenset[str]) -> Any:
    if isinstance(read, list):
        return [_row(each, names) if isinstance(each, Mapping) else each for each in read]
    if not isinstance(read, Mapping):
        return read
    row = _row(read, names)
    if not row:
        batches = [value for _, value in _fields(read) if _holds(value, Mapping)]
        if len(batches) == 1:
            return _rows(batches[0], names)
    return row or [row]


def _row(record: Record, names: frozenset[str]) -> Record:
    if record.keys() >= names:
        return record
    found = ((name, _cell(record, name)) for name in names)
    return {name: cell for name, cell in found if cell is not ABSENT}


def _cell(record: Record, name: str) -> Any:
    """The field of that name, which may be in a nested record; None if that record is missing."""
    if name in record:
        return record[name]
    head, dot, rest = name.partition(".")
    if not dot or head not in record:
        return ABSENT
    within = record[head]
    if isinstance(within, Mapping):
        return _cell(within, rest)
    return None if within is None else ABSENT


def _numbers(read: Any, schema: Schema) -> Any:
    if isinstance(read, Mapping):
        return _numbers(_samples_field(read, schema), schema)
    if isinstance(read, bytes):
        return _of_bytes(read, schema)
    if _holds(read, Mapping | bytes):
        held = [_numbers(each, schema) for each in read]
        joined = _joined(held, schema)
        return [sample for each in held for sample in schema.coerce(each)] if joined is None else joined
    return read


def _joined(held: list[Any], schema: Schema) -> Any:
    """Join flat samples, to check them at once, ten times as fast as one by one; None if some are not flat."""
    size = math.prod(schema.shape)
    if all(
        isinstance(each, np.ndarray) and each.shape[1:] == (size,) and each.dtype == _pixel(schema) for each in held
    ):
        return np.concatenate(held)
    if all(isinstance(each, list) and len(each) == size and not isinstance(each[0], list) for each in held):
        return held
    return None


def _samples_field(record: Record, schema: Schema) -> Any:
    held = [(name, value) for name, value in _fields(record) if isinstance(value, bytes | list)]
    fitting = [(name, value) for name, value in held if _fits(value, schema)]
    chosen = fitting if len(held) > 1 else held
    if len(chosen) == 1:
        return chosen[0][1]
    names = ", ".join(name for name, _ in chosen or held)
    raise MessageError(
        f"has {len(chosen) or 'no'} fields that may hold samples: {names}"[:200] if held else "has no list of numbers",
        reason="schema",
        remedy=f"expected one field with {'x'.join(map(str, schema.shape))} numbers",
    )


def _fields(record: Record, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of a record and its nested records, by dotted name."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _holds(value: Any, kind: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and isinstance(value[0], kind)


def _fits(value: Any, schema: Schema) -> bool:
    """Whether a value may be samples, judging by its size: bytes, or a list of bytes, records, or numbers."""
    if isinstance(value, bytes):
        return value.startswith(NPY_MAGIC) or (len(value) > 0 and len(value) % _sample_bytes(schema) == 0)
    if _holds(value, Mapping | bytes):
        return True
    leaf = value
    while isinstance(leaf, list) and leaf:
        leaf = leaf[0]
    if not isinstance(leaf, int | float):
        return False
    try:
        return np.asarray(value, np.float64).size % math.prod(schema.shape) == 0
    except (ValueError, TypeError):  # rows of different lengths, or of text
        return False


def _pixel(schema: Schema) -> np.dtype[Any]:
    return np.dtype("u1" if schema.kind == "image" and schema.dtype == "uint8" else "<f4")


def _sample_bytes(schema: Schema) -> int:
    return math.prod(schema.shape) * _pixel(schema).itemsize


def _of_bytes(value: bytes, schema: Schema) -> NDArray[Any]:
    """Samples in bytes: an npy body, or raw values of samples, as single bytes or little-endian float32."""
    if value.startswith(NPY_MAGIC):
        return read_npy(value)
    size = _sample_bytes(schema)
    if len(value) % size:
        raise MessageError(
            f"holds {len(value)} bytes", reason="shape", remedy=f"expected {size} for each sample, or an npy array"
        )
    return np.frombuffer(value, _pixel(schema)).reshape(-1, math.prod(schema.shape))
