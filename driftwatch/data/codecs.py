"""Wire formats: the bytes of a message to samples, and back.

References:
    KServe V1 and V2 (Open Inference Protocol) inference requests; CloudEvents 1.0, binary and structured mode.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Callable, Mapping
from tokenize import TokenError
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from driftwatch.data.schema import Schema, TableSchema
from driftwatch.errors import MessageError, UsageError

Headers = Mapping[str, bytes]
Samples = NDArray[np.floating]

STREAM_HEADER = "driftwatch-stream"
CLOUDEVENTS_JSON = "application/cloudevents+json"
CONTENT_TYPES = {
    "application/json": "json",
    "application/x-npy": "npy",
    "application/vnd.apache.arrow.stream": "arrow",
    CLOUDEVENTS_JSON: "cloudevents",
}
V2_TYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
NPY_MAGIC = b"\x93NUMPY"
ARROW_MAGIC = b"\xff\xff\xff\xff"


def stream_names(headers: Headers, key: bytes | None, topic: str, value: bytes = b"") -> tuple[str, ...]:
    """The names by which a message's stream may be known, the most explicit first.

    That is the ``driftwatch-stream`` header alone where there is one; else the CloudEvents attributes
    ``inferenceservicename`` and ``source``, the key, and the topic.

    Args:
        headers: of the message, by lower-case name.
        key: of the message.
        topic: it came from.
        value: read only for the attributes of a structured CloudEvent.
    """
    if STREAM_HEADER in headers:
        return (headers[STREAM_HEADER].decode(errors="replace"),)
    names = [
        headers[name].decode(errors="replace") for name in ("ce_inferenceservicename", "ce_source") if headers.get(name)
    ]
    if _content_type(headers) == CLOUDEVENTS_JSON:
        names += _structured_names(value)
    if key:
        names.append(key.decode(errors="replace"))
    return (*names, topic)


def decode(value: bytes, headers: Headers, schema: Schema, format: str = "auto") -> Samples:  # noqa: A002
    """The samples of a message, ``(N, *schema.shape)``.

    Args:
        value: the message's body.
        headers: by lower-case name; ``content-type`` or ``ce_datacontenttype`` tell the format.
        schema: of one sample.
        format: ``auto``, or the one format that is accepted.

    Raises:
        MessageError: the message cannot be used; for any bytes whatever, nothing else is raised.
    """
    if not value:
        raise MessageError("is empty", reason="empty", remedy="send samples")
    if format == "auto":
        format = _told_format(headers) or _sniffed_format(value)  # noqa: A001
    return schema.coerce(_DECODERS[format](value, schema), where=format)


def encode(batch: Samples, schema: Schema, format: str = "json") -> tuple[bytes, dict[str, bytes]]:  # noqa: A002
    """A message with samples, and its headers.

    Args:
        batch: coerced samples ``(N, *schema.shape)``.
        schema: of one sample.
        format: ``json`` (KServe V1), ``v2``, ``rows``, ``npy`` or ``arrow``.

    Raises:
        UsageError: the format cannot carry such samples.
    """
    if format == "npy":
        buffer = io.BytesIO()
        np.save(buffer, _compact(batch, schema), allow_pickle=False)
        return buffer.getvalue(), {"content-type": b"application/x-npy"}
    if format == "arrow":
        return _encode_arrow(batch, schema), {"content-type": b"application/vnd.apache.arrow.stream"}
    if format in ("rows", "json", "v1", "v2"):
        body = {"rows": _rows_json, "json": _v1_json, "v1": _v1_json, "v2": _v2_json}[format](batch, schema)
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY), {"content-type": b"application/json"}
    raise UsageError(f"unknown format {format!r}", remedy="one of json, v2, rows, npy, arrow")


def _content_type(headers: Headers) -> str:
    for name in ("content-type", "ce_datacontenttype"):
        if headers.get(name):
            return headers[name].decode(errors="replace").split(";")[0].strip().lower()
    return ""


def _told_format(headers: Headers) -> str:
    told = _content_type(headers)
    if not told:
        return ""
    if told.endswith("+json") and told != CLOUDEVENTS_JSON:
        return "json"
    if told not in CONTENT_TYPES:
        raise MessageError(
            f"content type {told[:80]!r} is not known",
            reason="unsupported_format",
            remedy=f"one of {', '.join(CONTENT_TYPES)}",
        )
    return CONTENT_TYPES[told]


def _sniffed_format(value: bytes) -> str:
    if value.startswith(NPY_MAGIC):
        return "npy"
    return "arrow" if value.startswith(ARROW_MAGIC) else "json"


def _load_json(value: bytes) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise MessageError(f"is not valid JSON: {error}", reason="malformed") from None


def _structured_names(value: bytes) -> list[str]:
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError:
        return []  # decoding says what is wrong with it
    if not isinstance(event, dict):
        return []
    found = (event.get(name) for name in ("inferenceservicename", "source"))
    return [name for name in found if isinstance(name, str) and name]


def _decode_json(value: bytes, schema: Schema) -> Any:
    body = _load_json(value)
    if isinstance(body, dict):
        if "instances" in body:
            return _instances(body)
        if isinstance(body.get("inputs"), list):
            return _tensors(body, schema)
        if "specversion" in body:
            return _event_data(body, schema)
    return body if schema.kind == "table" or not isinstance(body, dict) else _named(body)


def _decode_v1(value: bytes, schema: Schema) -> Any:  # noqa: ARG001 - its siblings need the schema
    return _instances(_load_json(value))


def _decode_v2(value: bytes, schema: Schema) -> Any:
    return _tensors(_load_json(value), schema)


def _decode_rows(value: bytes, schema: Schema) -> Any:  # noqa: ARG001 - its siblings need the schema
    body = _load_json(value)
    if not isinstance(body, list | dict):
        raise MessageError("holds no rows", reason="schema", remedy="send a list of objects, one for each row")
    return body


def _decode_event(value: bytes, schema: Schema) -> Any:
    return _event_data(_load_json(value), schema)


def _named(body: dict[str, Any]) -> Any:
    raise MessageError(
        f"is a JSON object with keys {', '.join(map(repr, list(body)[:5]))}"[:200],
        reason="schema",
        remedy="expected 'instances' (KServe V1), 'inputs' (V2) or an array",
    )


def _instances(body: Any) -> Any:
    if not isinstance(body, dict) or not isinstance(body.get("instances"), list):
        raise MessageError("has no list 'instances'", reason="schema", remedy="see KServe's V1 protocol")
    return body["instances"]


def _tensors(body: Any, schema: Schema) -> Any:
    inputs = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
        raise MessageError("has no list 'inputs' of tensors", reason="schema", remedy="see KServe's V2 protocol")
    if len(inputs) > 1 or (isinstance(schema, TableSchema) and inputs[0].get("name") in _names(schema)):
        if not isinstance(schema, TableSchema):
            raise MessageError(f"has {len(inputs)} inputs", reason="schema", remedy="expected one tensor of samples")
        return {str(each.get("name")): _tensor(each).reshape(-1) for each in inputs}
    return _tensor(inputs[0])


def _names(schema: TableSchema) -> set[str]:
    return {column.name for column in schema.columns}


def _tensor(tensor: Mapping[str, Any]) -> NDArray[Any]:
    name, shape, datatype, data = (tensor.get(key) for key in ("name", "shape", "datatype", "data"))
    where = f"input {name!r}"[:100]
    if not isinstance(shape, list) or not all(isinstance(n, int) and 0 <= n < 1 << 40 for n in shape):
        raise MessageError("has no list 'shape' of sizes", reason="schema", where=where)
    if not isinstance(data, list):
        raise MessageError("has no list 'data'", reason="schema", where=where, remedy="binary tensors are not read")
    if datatype != "BYTES" and datatype not in V2_TYPES:
        raise MessageError(f"datatype {datatype!r} is not known"[:200], reason="schema", where=where)
    try:
        if datatype == "BYTES":
            array = np.empty(len(data), dtype=object)
            array[:] = data
        else:
            array = np.asarray(data, dtype=np.float64 if datatype.startswith("FP") else None)
    except (ValueError, TypeError, OverflowError) as error:
        raise MessageError(f"data cannot be read as {datatype}: {error}", reason="schema", where=where) from None
    if array.size != math.prod(shape):
        raise MessageError(f"has shape {shape} but {array.size} values", reason="shape", where=where)
    return array.reshape(shape)


def _event_data(event: Any, schema: Schema) -> Any:
    if not isinstance(event, dict) or "specversion" not in event:
        raise MessageError("is no structured CloudEvent", reason="schema", remedy="expected 'specversion' and 'data'")
    if "data_base64" in event:
        try:
            value = base64.b64decode(event["data_base64"], validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise MessageError("'data_base64' is not base64", reason="malformed") from None
        told = str(event.get("datacontenttype", "")).encode()
        inner = _told_format({"content-type": told}) or _sniffed_format(value)
        if inner == "cloudevents":
            raise MessageError("holds a CloudEvent within a CloudEvent", reason="unsupported_format")
        return _DECODERS[inner](value, schema)
    if "data" not in event:
        raise MessageError("has no 'data'", reason="empty")
    if isinstance(event["data"], dict) and "specversion" in event["data"]:
        raise MessageError("holds a CloudEvent within a CloudEvent", reason="unsupported_format")
    return _decode_json(orjson.dumps(event["data"]), schema)


def _decode_npy(value: bytes, schema: Schema) -> Any:  # noqa: ARG001 - its siblings need the schema
    buffer = io.BytesIO(value)
    try:
        version = np.lib.format.read_magic(buffer)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(buffer)
        count = math.prod(shape)
        if dtype.hasobject or dtype.kind not in "biuf":
            raise MessageError(f"holds {dtype} values", reason="schema", where="npy", remedy="expected numbers")
        body = value[buffer.tell() :]
        if len(body) != count * dtype.itemsize:
            raise MessageError(f"declares shape {shape} but holds {len(body)} bytes", reason="malformed", where="npy")
        return np.frombuffer(body, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    except (ValueError, TypeError, EOFError, SyntaxError, TokenError, OverflowError, RecursionError) as error:
        raise MessageError(f"is no npy array: {error}", reason="malformed", where="npy") from None


def _decode_arrow(value: bytes, schema: Schema) -> Any:
    try:
        with pa.ipc.open_stream(value) as reader:
            table = reader.read_all()
        table.validate(full=True)
        if isinstance(schema, TableSchema):
            return table
        return _arrow_rows(table)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as error:
        raise MessageError(f"is no Arrow stream: {error}", reason="malformed", where="arrow") from None


def _arrow_rows(table: pa.Table) -> NDArray[Any]:
    if table.num_columns == 0 or table.num_rows == 0:
        raise MessageError("holds no samples", reason="empty", where="arrow")
    if table.num_columns > 1:
        if not all(pa.types.is_integer(f.type) or pa.types.is_floating(f.type) for f in table.schema):
            raise MessageError("holds columns that are not numbers", reason="schema", where="arrow")
        return np.stack([column.to_numpy() for column in table.columns], axis=1)
    column = table.column(0).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if column.null_count:
        raise MessageError("holds null samples", reason="non_finite", where="arrow")
    while (
        pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or pa.types.is_fixed_size_list(column.type)
    ):
        column = column.flatten()
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise MessageError(f"holds {column.type} values", reason="schema", where="arrow", remedy="expected numbers")
    if column.null_count:
        raise MessageError("holds null values", reason="non_finite", where="arrow")
    flat = column.to_numpy(zero_copy_only=False)
    if len(flat) % table.num_rows:
        raise MessageError("rows are not all of one length", reason="shape", where="arrow")
    return np.asarray(flat.reshape(table.num_rows, -1))


_DECODERS: Mapping[str, Callable[[bytes, Schema], Any]] = {
    "json": _decode_json,
    "v1": _decode_v1,
    "v2": _decode_v2,
    "rows": _decode_rows,
    "npy": _decode_npy,
    "arrow": _decode_arrow,
    "cloudevents": _decode_event,
}


def _compact(batch: Samples, schema: Schema) -> NDArray[Any]:
    """In the smallest type that holds such samples."""
    if schema.kind == "image":
        return batch.astype(schema.dtype)
    return batch.astype(np.int64) if schema.kind == "vector" and schema.integer else batch


def _cells(batch: Samples, schema: TableSchema) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    for j, column in enumerate(schema.columns):
        cells = batch[:, j].tolist()
        if column.kind == "category":
            known = column.categories
            columns[column.name] = [
                None if math.isnan(c) else known[int(c)] if int(c) < len(known) else "(unseen)" for c in cells
            ]
        else:
            columns[column.name] = [None if math.isnan(c) else c for c in cells]
    return columns


def _rows_json(batch: Samples, schema: Schema) -> Any:
    if not isinstance(schema, TableSchema):
        raise UsageError("format rows is for tables", remedy="use json, v2, npy or arrow")
    columns = _cells(batch, schema)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _v1_json(batch: Samples, schema: Schema) -> Any:
    instances = _rows_json(batch, schema) if isinstance(schema, TableSchema) else _listed(batch, schema)
    return {"instances": instances}


def _listed(batch: Samples, schema: Schema) -> Any:
    return np.ascontiguousarray(_compact(batch, schema))


def _v2_json(batch: Samples, schema: Schema) -> Any:
    if isinstance(schema, TableSchema):
        columns = _cells(batch, schema)
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
    array = np.ascontiguousarray(_compact(batch, schema))
    datatype = next(name for name, dtype in V2_TYPES.items() if dtype == array.dtype.name)
    tensor = {"name": "samples", "shape": list(array.shape), "datatype": datatype, "data": array.reshape(-1)}
    return {"inputs": [tensor]}


def _encode_arrow(batch: Samples, schema: Schema) -> bytes:
    if isinstance(schema, TableSchema):
        table = pa.table(_cells(batch, schema))
    else:
        flat = np.ascontiguousarray(_compact(batch, schema)).reshape(len(batch), -1)
        rows = pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), flat.shape[1])
        table = pa.table({"samples": rows})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
