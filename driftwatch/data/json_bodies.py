"""Samples in JSON bodies: KServe's inference requests V1 and V2, rows by column name, plain arrays.

References:
    KServe V1 data plane; Open Inference Protocol (V2).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from driftwatch.data.binary_tensors import V2_TYPES, read_binary
from driftwatch.data.collecting import uncollected
from driftwatch.data.schema import Samples, Schema, TableSchema
from driftwatch.errors import MessageError, UsageError

OTHER, UNSEEN = "(other)", "(unseen)"
NOT_FINITE = re.compile(rb"[\[,:]\s*-?(NaN|Infinity)\s*[\],}]")
EXACT_INTEGER = 2.0**53
MOST_AXES = 32
"""The limit of all NumPy versions. Multiplying as many sizes as a body has room for would take minutes."""


def load_json(value: bytes) -> Any:
    """The parsed body; binary tensors that follow the JSON are their tensors' ``data``.

    Raises:
        MessageError: it is not JSON.
    """
    try:
        with uncollected(len(value)):
            return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        if (body := read_binary(value)) is not None:
            return body
        if NOT_FINITE.search(value):
            raise MessageError(
                "holds NaN or Infinity, which JSON does not allow",
                reason="non_finite",
                remedy="send numbers, and null for a value that is missing from a table",
            ) from None
        raise MessageError(f"is not valid JSON: {error}", reason="malformed") from None


def v1_instances(body: Any) -> list[Any]:
    """The samples of a V1 request, or of a response to one."""
    instances = body.get("instances", body.get("predictions")) if isinstance(body, dict) else None
    if not isinstance(instances, list):
        raise MessageError("has no list 'instances'", reason="schema", remedy="see KServe's V1 protocol")
    return instances


def rows(body: Any) -> Any:
    """Rows by column name."""
    if not isinstance(body, list | dict):
        raise MessageError("holds no rows", reason="schema", remedy="send a list of objects, one for each row")
    return body


def v2_tensors(body: Any, schema: Schema) -> Any:
    """The tensor of a V2 request or a response to one, or for tables its columns by name."""
    inputs = body.get("inputs", body.get("outputs")) if isinstance(body, dict) else None
    if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
        raise MessageError("has no list 'inputs' of tensors", reason="schema", remedy="see KServe's V2 protocol")
    if isinstance(schema, TableSchema):
        wanted = {column.name for column in schema.columns}
        named = [(each["name"], each) for each in inputs if isinstance(each.get("name"), str)]
        columns = [(name, tensor) for name, tensor in named if name in wanted]
        if len(columns) > len(dict(columns)):
            raise MessageError("has two inputs of one name", reason="schema", remedy="send each column once")
        if columns or len(inputs) > 1:
            return {name: _column(name, tensor) for name, tensor in columns}
    elif len(inputs) > 1:
        raise MessageError(f"has {len(inputs)} inputs", reason="schema", remedy="expected one tensor of samples")
    return _tensor(inputs[0])


def _column(name: str, tensor: Mapping[str, Any]) -> NDArray[Any]:
    array = _tensor(tensor)
    if array.shape not in {(array.size,), (array.size, 1)}:
        raise MessageError(
            f"has shape {list(array.shape)}"[:200],
            reason="shape",
            where=f"input {name!r}"[:100],
            remedy="expected one value for each row",
        )
    # As categories, numbers are names: floats have the wrong name for long ones, and for truth values beside a null.
    if array.dtype.kind == "f" and tensor["datatype"] == "BOOL":
        cells = array.astype(bool).astype(object)
        cells[np.isnan(array)] = None
        return cells.reshape(-1)
    if "INT" in tensor["datatype"] and bool((np.abs(array) >= EXACT_INTEGER).any()):
        return _flat(tensor["data"])
    return array.reshape(-1)


def _tensor(tensor: Mapping[str, Any]) -> NDArray[Any]:
    name, shape, datatype, data = (tensor.get(key) for key in ("name", "shape", "datatype", "data"))
    where = f"input {name!r}"[:100]
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 1 << 40 for n in shape):
        raise MessageError("has no list 'shape' of sizes", reason="schema", where=where)
    if len(shape) > MOST_AXES:
        raise MessageError(f"has a shape of {len(shape)} axes", reason="shape", where=where)
    if not isinstance(data, list | np.ndarray):
        raise MessageError("has no list 'data'", reason="schema", where=where, remedy="see KServe's V2 protocol")
    if not isinstance(datatype, str) or (datatype != "BYTES" and datatype not in V2_TYPES):
        raise MessageError(f"datatype {datatype!r} is not known"[:200], reason="schema", where=where)
    array = _flat(data) if datatype == "BYTES" else _numbers(data, datatype, where)
    try:
        if array.size == math.prod(shape):
            return array.reshape(shape)
    except ValueError:  # NumPy refuses sizes that overflow even if another size is zero
        pass
    raise MessageError(f"has shape {shape} but {array.size} values"[:200], reason="shape", where=where)


def _flat(data: list[Any] | NDArray[Any]) -> NDArray[Any]:
    flat: list[Any] = []
    held = (data if isinstance(data, list) else data.tolist())[::-1]
    while held:
        item = held.pop()
        if isinstance(item, list):
            held.extend(item[::-1])
        else:
            flat.append(item)
    array = np.empty(len(flat), dtype=object)
    array[:] = flat
    return array


def _numbers(data: list[Any] | NDArray[Any], datatype: str, where: str) -> NDArray[Any]:
    try:
        array = np.asarray(data, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        ragged = "inhomogeneous" in str(error)
        raise MessageError(
            f"data cannot be read as {datatype}: {error}"[:200], reason="shape" if ragged else "schema", where=where
        ) from None
    if datatype.startswith("FP"):
        return array
    low, high = (0, 1) if datatype == "BOOL" else (np.iinfo(V2_TYPES[datatype]).min, np.iinfo(V2_TYPES[datatype]).max)
    known = array[~np.isnan(array)]
    if not bool(((known >= low) & (known <= high) & (known == np.rint(known))).all()):
        raise MessageError(f"data holds values that are no {datatype}", reason="schema", where=where)
    return array.astype(bool) if datatype == "BOOL" and len(known) == array.size else array


def compact(batch: Samples, schema: Schema) -> NDArray[Any]:
    """Samples as a contiguous array of the smallest type that holds them exactly."""
    if schema.kind == "image":
        batch = batch.astype(schema.dtype)
    elif schema.kind == "vector" and schema.integer:
        whole = bool(((batch == np.rint(batch)) & (np.abs(batch) < EXACT_INTEGER)).all())
        batch = batch.astype(np.int64) if whole else batch
    return np.ascontiguousarray(batch)


def cells(batch: Samples, schema: TableSchema) -> dict[str, list[Any]]:
    """A table's columns by name, as numbers and category texts; None for missing values."""
    columns: dict[str, list[Any]] = {}
    for j, column in enumerate(schema.columns):
        values = batch[:, j].tolist()
        if column.kind == "category":
            texts = (*column.categories, *([OTHER] * len(column.others)), UNSEEN)
            columns[column.name] = [None if math.isnan(v) else texts[int(v)] for v in values]
        else:
            columns[column.name] = [None if math.isnan(v) else v for v in values]
    return columns


def rows_body(batch: Samples, schema: Schema) -> Any:
    """Samples as rows by column name.

    Raises:
        UsageError: the samples are not rows of a table.
    """
    if not isinstance(schema, TableSchema):
        raise UsageError("format rows is for tables", remedy="use json, v2, npy or arrow")
    columns = cells(batch, schema)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def v1_body(batch: Samples, schema: Schema) -> Any:
    """Samples as a V1 request."""
    return {"instances": rows_body(batch, schema) if isinstance(schema, TableSchema) else compact(batch, schema)}


def v2_body(batch: Samples, schema: Schema) -> Any:
    """Samples as a V2 request; a table has one input per column."""
    if isinstance(schema, TableSchema):
        columns = cells(batch, schema)
        return {
            "inputs": [
                {
                    "name": column.name,
                    "shape": [len(batch)],
                    "datatype": "BYTES" if column.kind == "category" else "FP64",
                    "data": columns[column.name],
                }
                for column in schema.columns
            ]
        }
    array = compact(batch, schema)
    datatype = next(name for name, dtype in V2_TYPES.items() if dtype == array.dtype.name)
    tensor = {"name": "samples", "shape": list(array.shape), "datatype": datatype, "data": array.reshape(-1)}
    return {"inputs": [tensor]}
