"""Encoding of samples as Avro records in Confluent's wire format: a batch is one record with a list of samples."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from typing import Any

import fastavro

from driftwatch.data.json_bodies import compact, rows_body
from driftwatch.data.schema import Samples, Schema, TableSchema
from driftwatch.data.schema_framing import ID_MAGIC
from driftwatch.errors import UsageError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def avro_schema(schema: Schema) -> dict[str, Any]:
    """The Avro schema of batches: rows by column name, 8-bit images as bytes, other samples as lists of numbers.

    Raises:
        UsageError: a column's name is not valid in Avro.
    """
    items: Any
    if isinstance(schema, TableSchema):
        kinds = {column.name: "string" if column.kind == "category" else "double" for column in schema.columns}
        odd = [name for name in kinds if not NAME.fullmatch(name)]
        if odd:
            raise UsageError(f"{odd[0]!r} is not a valid column name in Avro", remedy="use rows, v2 or arrow")
        fields = [{"name": name, "type": ["null", kind], "default": None} for name, kind in kinds.items()]
        items = {"type": "record", "name": "Row", "fields": fields}
    elif schema.kind == "image":
        items = "bytes" if schema.dtype == "uint8" else {"type": "array", "items": "float"}
    else:
        items = {"type": "array", "items": "double"}
    samples = {"name": "samples", "type": {"type": "array", "items": items}}
    return {"type": "record", "name": "Batch", "namespace": "io.driftwatch", "fields": [samples]}


def avro_writer(schema: Schema, schema_id: int) -> Callable[[Samples, Schema], tuple[bytes, dict[str, bytes]]]:
    """Make a function that encodes samples ``(N, *schema.shape)`` as `driftwatch.data.codecs.encode` does.

    Args:
        schema: of one sample; the samples to encode may have other categories.
        schema_id: of its `avro_schema` in the registry.
    """
    parsed = fastavro.parse_schema(avro_schema(schema))
    prefix = bytes([ID_MAGIC]) + schema_id.to_bytes(4, "big")

    def write(batch: Samples, schema: Schema) -> tuple[bytes, dict[str, bytes]]:
        body = io.BytesIO(prefix)
        body.seek(len(prefix))
        fastavro.schemaless_writer(body, parsed, {"samples": _items(batch, schema)})
        return body.getvalue(), {}

    return write


def _items(batch: Samples, schema: Schema) -> list[Any]:
    if isinstance(schema, TableSchema):
        rows: list[Any] = rows_body(batch, schema)
        return rows
    flat = compact(batch, schema).reshape(len(batch), math.prod(schema.shape))
    if flat.dtype.kind == "u":
        return [sample.tobytes() for sample in flat]
    items: list[Any] = flat.tolist()
    return items
