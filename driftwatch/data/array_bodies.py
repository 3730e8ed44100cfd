"""Samples in binary message bodies: npy arrays and Arrow streams."""

from __future__ import annotations

import io
import math
import tokenize
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftwatch.data.arrow_columns import is_bytes, is_number, is_view
from driftwatch.data.arrow_sizes import unpacked_bytes
from driftwatch.data.json_bodies import cells, compact
from driftwatch.data.schema import Samples, Schema, TableSchema
from driftwatch.errors import MessageError

NPY_MAGIC = b"\x93NUMPY"
ARROW_MAGIC = b"\xff\xff\xff\xff"
LONGEST_NPY_HEADER = 10_000
"""Bytes; NumPy refuses longer headers."""

UNPACKED_BYTES, UNPACKED_TIMES = 64 << 20, 8
"""Limit for the unpacked size of a message's compressed buffers, in bytes, or relative to the message if that is more:
100 KB of zstd can claim gigabytes."""

SPARE_CELLS = 1 << 20
# Exceptions of NumPy's parser on invalid headers; MemoryError means that nesting is too deep for Python's parser.
NPY_FAULTS = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    SyntaxError,
    OverflowError,
    RecursionError,
    MemoryError,
    tokenize.TokenError,
)


def read_npy(value: bytes) -> NDArray[Any]:
    """A view of the array in an npy body; nothing is allocated because of what a header merely declares.

    Raises:
        MessageError: it is not an array of numbers.
    """
    try:
        shape, fortran, dtype, length = _npy_header(_npy_head(value))
        count = math.prod(shape)
        if dtype.hasobject or dtype.kind not in "biuf":
            raise MessageError(f"holds {dtype} values", reason="schema", where="npy", remedy="expected numbers")
        body = memoryview(value)[length:]
        if len(body) != count * dtype.itemsize:
            raise MessageError(
                f"declares shape {shape} but holds {len(body)} bytes"[:200], reason="malformed", where="npy"
            )
        return np.frombuffer(body, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    except NPY_FAULTS as error:
        raise MessageError(f"is no npy array: {error}"[:200], reason="malformed", where="npy") from None


def _npy_head(value: bytes) -> bytes:
    """The head of an npy body up to its numbers, but not longer than NumPy accepts."""
    start = 10 if value[6:7] == b"\x01" else 12
    return value[: start + min(int.from_bytes(value[8:start], "little"), LONGEST_NPY_HEADER)]


@lru_cache(maxsize=64)
def _npy_header(head: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, order, type and length that a head declares; cached, since the messages of a stream share a few heads."""
    buffer = io.BytesIO(head)
    version = np.lib.format.read_magic(buffer)
    if version not in {(1, 0), (2, 0), (3, 0)}:
        raise ValueError(f"version {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(buffer)
    return shape, fortran, dtype, buffer.tell()


def write_npy(batch: Samples, schema: Schema) -> bytes:
    """Samples as an npy body; categories are written as indices."""
    buffer = io.BytesIO()
    np.save(buffer, compact(batch, schema), allow_pickle=False)
    return buffer.getvalue()


def read_arrow(value: bytes, schema: Schema) -> Any:
    """The table in an Arrow stream, or the array of samples in its columns.

    Raises:
        MessageError: it is not an Arrow stream, or contains no samples.
    """
    try:
        _require_room(unpacked_bytes(value), "unpacks to", value)
        table = _bounded_table(value)
        columns = len(schema.columns) if isinstance(schema, TableSchema) else table.num_columns
        # Columns of nulls take no space in a message, whatever their length.
        if table.num_rows * columns > 8 * len(value) + SPARE_CELLS:
            raise MessageError(
                f"declares {table.num_rows} rows in {len(value)} bytes",
                reason="too_large",
                where="arrow",
                remedy="send fewer rows at a time",
            )
        table.validate(full=True)
        table = _without_views(table, len(value))
        return table if isinstance(schema, TableSchema) else _samples(table)
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError, MemoryError) as error:
        raise MessageError(f"is no Arrow stream: {error}"[:200], reason="malformed", where="arrow") from None


def write_arrow(batch: Samples, schema: Schema) -> bytes:
    """Samples as an Arrow stream: a table's columns by name, or one column of lists with a flat sample per row."""
    if isinstance(schema, TableSchema):
        table = pa.table(cells(batch, schema))
    else:
        flat = compact(batch, schema).reshape(len(batch), math.prod(schema.shape))
        rows = pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), flat.shape[1])
        table = pa.table({"samples": rows})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _bounded_table(value: bytes) -> pa.Table:
    """The table in an Arrow stream, which may hold a few times the bytes of its message.

    Batches share what is sent once: a dictionary, or the same bytes under many columns. But each has to be checked as
    if it had its own, and a dictionary that grows from batch to batch is copied for each.
    """
    batches: list[pa.RecordBatch] = []
    held = 0
    with pa.ipc.open_stream(value) as reader:
        for batch in reader:
            batch.validate()  # or its size might be that of lengths which lie
            held += batch.nbytes
            _require_room(held, "holds", value)
            batches.append(batch)
        return pa.Table.from_batches(batches, reader.schema)


def _require_room(held: int, what: str, value: bytes) -> None:
    if held > max(UNPACKED_BYTES, UNPACKED_TIMES * len(value)):
        remedy = "send fewer rows at a time"
        raise MessageError(f"{what} {held} bytes", reason="too_large", where="arrow", remedy=remedy)


def _without_views(table: pa.Table, size: int) -> pa.Table:
    """Convert views of texts and bytes to plain ones; many views may refer to the same bytes."""
    shown = 0
    for i, name in enumerate(table.column_names):  # also fails for names that are not valid Unicode
        column = table.column(i)
        if not is_view(column.type):
            continue
        views = [(chunk.buffers()[1], chunk.offset, len(chunk)) for chunk in column.chunks]
        shown += sum(
            int(np.frombuffer(buffer, np.int32)[::4][start : start + count].sum(dtype=np.int64))
            for buffer, start, count in views
            if count
        )
        # Of all columns together: each may hold as much.
        if shown > 8 * size + SPARE_CELLS:
            raise MessageError(f"column {name!r} repeats the same text too often", reason="too_large")
        plain = pa.large_binary() if is_bytes(column.type) else pa.large_string()
        table = table.set_column(i, name, column.cast(plain))
    return table


def _samples(table: pa.Table) -> NDArray[Any]:
    if table.num_columns == 0 or table.num_rows == 0:
        raise MessageError("holds no samples", reason="empty", where="arrow")
    if table.num_columns > 1:
        if not all(is_number(field.type) for field in table.schema):
            raise MessageError("holds columns that are not numbers", reason="schema", where="arrow")
        return np.stack([column.to_numpy() for column in table.columns], axis=1)
    return _nested(table.column(0).combine_chunks())


def _nested(column: Any) -> NDArray[Any]:
    """A column of lists or tensors as an array ``(N, *shape)``."""
    shape = [len(column)]
    inner: tuple[int, ...] = ()
    order: tuple[int, ...] = ()
    if isinstance(column, pa.ExtensionArray):
        if isinstance(column.type, pa.FixedShapeTensorType):
            inner = tuple(column.type.shape)
            order = tuple(column.type.permutation or ())
        column = column.storage
    while True:
        if column.null_count:
            raise MessageError("holds null", reason="non_finite", where="arrow", remedy="every value must be finite")
        kind = column.type
        if pa.types.is_fixed_size_list(kind):
            width = kind.list_size
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            widths = np.unique(column.value_lengths().to_numpy(zero_copy_only=False))
            if len(widths) > 1:
                raise MessageError("rows are not all of one length", reason="shape", where="arrow")
            width = int(widths[0]) if len(widths) else 0
        else:
            break
        shape.append(width)
        column = column.flatten()
    if not is_number(column.type):
        raise MessageError(f"holds {column.type} values", reason="schema", where="arrow", remedy="expected numbers")
    array = np.asarray(column.to_numpy(zero_copy_only=False))
    if inner:
        array = array.reshape(shape[0], *inner)
        return array.transpose(0, *(axis + 1 for axis in order)) if order else array
    return array.reshape(shape)
