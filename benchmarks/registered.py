"""The cost of decoding schema-registry messages, compared with JSON rows, npy and Arrow.

Messages hold one or a hundred rows of twenty columns, or one embedding of 768 numbers.

python -m benchmarks.registered
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Mapping
from typing import Any

import fastavro
import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from driftwatch.data.codecs import decode, encode
from driftwatch.data.json_bodies import rows_body
from driftwatch.data.schema import Column, Samples, Schema, TableSchema, VectorSchema
from driftwatch.data.schema_registry import SchemaRegistry
from tests.registry import Registry, add_fields, message_class, proto_file, running_registry

DIM = 768
TOWNS = ("Bonn", "Köln", "Ulm", "Wien")
ROWS = TableSchema(
    columns=tuple(
        Column(name=f"c{i}", kind="category", categories=TOWNS) if i % 4 == 0 else Column(name=f"c{i}", kind="numeric")
        for i in range(20)
    )
)
VECTOR = VectorSchema(dim=DIM)
SECONDS = 1.0
ROUNDS = 10

Message = tuple[bytes, Mapping[str, bytes]]


def rows(count: int) -> Samples:
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(count, len(ROWS.columns)))
    for j, column in enumerate(ROWS.columns):
        if column.kind == "category":
            drawn[:, j] = rng.integers(0, len(TOWNS), count)
    return drawn


def avro(registry: Registry, name: str, fields: list[dict[str, Any]], record: Any) -> bytes:
    schema = {"type": "record", "name": name, "fields": fields}
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), record)
    return b"\x00" + registry.avro(name, schema).id.to_bytes(4, "big") + body.getvalue()


def protobuf(registry: Registry, name: str, fields: Mapping[str, str], record: Mapping[str, Any]) -> bytes:
    file = proto_file("bench")
    if "rows" in record:
        file.message_type.add(name=name)
        add_fields(file.message_type.add(name="Row"), **fields)
        add_fields(file.message_type[0], rows="repeated .bench.Row")
    else:
        add_fields(file.message_type.add(name=name), **fields)
    written: bytes = message_class(file, f"bench.{name}")(**record).SerializeToString()
    return b"\x00" + registry.protobuf(name, file).id.to_bytes(4, "big") + b"\x00" + written


def row_messages(registry: Registry, count: int) -> Mapping[str, Message]:
    """The same rows in every format."""
    batch = rows(count)
    body = rows_body(batch, ROWS)
    kinds = [("string" if column.kind == "category" else "double", column.name) for column in ROWS.columns]
    fields: list[dict[str, Any]] = [{"name": name, "type": ["null", kind]} for kind, name in kinds]
    of_proto = {name: f"optional {kind}" for kind, name in kinds}
    record: Any = body[0] if count == 1 else {"rows": body}
    if count > 1:
        row = {"type": "record", "name": "Row", "fields": fields}
        fields = [{"name": "rows", "type": {"type": "array", "items": row}}]
    return {form: encode(batch, ROWS, form) for form in ("rows", "arrow")} | {
        "avro": (avro(registry, f"Rows{count}", fields, record), {}),
        "protobuf": (protobuf(registry, f"Rows{count}", of_proto, record), {}),
    }


def vector_messages(registry: Registry) -> Mapping[str, Message]:
    """The same embedding in every format."""
    vector = np.random.default_rng(0).normal(size=(1, DIM))
    record = {"embedding": vector[0].tolist()}
    fields = [{"name": "embedding", "type": {"type": "array", "items": "double"}}]
    return {form: encode(vector, VECTOR, form) for form in ("json", "npy")} | {
        "avro": (avro(registry, "Embedded", fields, record), {}),
        "protobuf": (protobuf(registry, "Embedded", {"embedding": "repeated double"}, record), {}),
    }


def microseconds(message: Message, schema: Schema, registry: SchemaRegistry) -> float:
    """CPU time of decoding one message: the shortest of several rounds."""
    value, headers = message
    quickest = float("inf")
    for _ in range(ROUNDS):
        count, started = 0, time.process_time()
        while (taken := time.process_time() - started) < SECONDS / ROUNDS:
            decode(value, headers, schema, "auto", registry)
            count += 1
        quickest = min(quickest, taken / count)
    return 1e6 * quickest


def main() -> None:
    """Print a table of microseconds and bytes per message."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    table = Table("message", "format", "bytes", "CPU, µs", box=None)
    with running_registry() as stand_in, httpx.Client() as http:
        registry = SchemaRegistry([stand_in.url], http, stand_in.url)
        sets: dict[str, tuple[Schema, Mapping[str, Message]]] = {
            "a row of 20 columns": (ROWS, row_messages(stand_in, 1)),
            "100 such rows": (ROWS, row_messages(stand_in, 100)),
            f"an embedding of {DIM}": (VECTOR, vector_messages(stand_in)),
        }
        for name, (schema, messages) in sets.items():
            expected = None
            for form, message in messages.items():
                samples = decode(*message, schema, "auto", registry)
                expected = samples if expected is None else expected
                np.testing.assert_allclose(samples, expected)
                taken = microseconds(message, schema, registry)
                table.add_row(name, form, f"{len(message[0]):,}", f"{taken:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
