"""Fetching schemas from a registry and decoding messages with them."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Iterator
from uuid import UUID

import fastavro
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from driftwatch.data import schema_registry
from driftwatch.data.avro_bodies import avro_schema, avro_writer
from driftwatch.data.codecs import decode
from driftwatch.data.schema import Column, ImageSchema, Schema, TableSchema, VectorSchema
from driftwatch.data.schema_registry import SchemaRegistry
from driftwatch.errors import ConfigError, MessageError, RegistryError, UsageError
from tests.registry import Registry, Stored, add_fields, proto_file, running_registry

VECTOR = VectorSchema(dim=3)
TABLE = TableSchema(columns=(Column(name="age", kind="numeric"),))
EMBEDDED = {
    "type": "record",
    "name": "Embedded",
    "fields": [{"name": "embedding", "type": {"type": "array", "items": "double"}}],
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Registry]:
    with running_registry() as registry:
        yield registry


@pytest.fixture
def registry(shared: Registry) -> Registry:
    shared.status, shared.requested = 0, []
    shared.stored.clear()
    return shared


def client_of(*urls: str, **options: object) -> SchemaRegistry:
    return SchemaRegistry(urls, httpx.Client(timeout=5.0), "http://registry", **options)  # type: ignore[arg-type]


def avro_message(stored: Stored, record: object = None) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(EMBEDDED), record or {"embedding": [1.0, 2.0, 3.0]})
    return b"\x00" + stored.id.to_bytes(4, "big") + body.getvalue()


def test_a_schema_is_requested_once(registry: Registry) -> None:
    message = avro_message(registry.avro("waves-value", EMBEDDED))
    client = client_of(registry.url)
    for _ in range(3):
        np.testing.assert_array_equal(decode(message, {}, VECTOR, "auto", client), [[1, 2, 3]])
    np.testing.assert_array_equal(decode(message, {"content-type": b"text/csv"}, VECTOR, "avro", client), [[1, 2, 3]])
    with pytest.raises(MessageError, match=r"avro: has shape \(3,\)"):
        decode(message, {}, VectorSchema(dim=2), "auto", client)
    assert registry.requested == ["/schemas/ids/1"]


def test_a_schema_in_a_header_is_known_by_its_guid(registry: Registry) -> None:
    stored = registry.avro("waves-value", EMBEDDED)
    headers = {"__value_schema_id": b"\x01" + stored.guid.bytes}
    client = client_of(registry.url)
    np.testing.assert_array_equal(decode(avro_message(stored)[5:], headers, VECTOR, "auto", client), [[1, 2, 3]])
    with pytest.raises(MessageError, match=f"schema {UUID(int=7)} is not in the registry"):
        decode(b"x", {"__value_schema_id": b"\x01" + UUID(int=7).bytes}, VECTOR, "auto", client)


def test_references_of_references_are_followed(registry: Registry) -> None:
    unit = registry.avro("a/unit", {"type": "enum", "name": "Unit", "symbols": ["EUR"]})
    by_unit = {"name": "Unit", "subject": unit.subject, "version": unit.version}
    fields = [{"name": "age", "type": "double"}, {"name": "unit", "type": "Unit"}]
    money = registry.avro("money", {"type": "record", "name": "Money", "fields": fields}, [by_unit])
    by_money = {"name": "Money", "subject": money.subject, "version": money.version}
    stored = registry.avro("orders-value", {"type": "array", "items": "Money"}, [by_money, by_unit])
    message = b"\x00" + stored.id.to_bytes(4, "big") + b"\x02" + np.array(7.0, "<f8").tobytes() + b"\x00\x00"
    np.testing.assert_array_equal(decode(message, {}, TABLE, "auto", client_of(registry.url)), [[7]])


def test_protobuf_schemas_and_their_imports_are_requested_as_descriptors(registry: Registry) -> None:
    base, file = proto_file("shop"), proto_file("shop", ["base.proto"])
    add_fields(base.message_type.add(name="Person"), age="double")
    add_fields(file.message_type.add(name="Batch"), rows="repeated .shop.Person")
    first = registry.protobuf("base", base)
    imported = {"name": "base.proto", "subject": first.subject, "version": first.version}
    stored = registry.protobuf("people-value", file, [imported])
    row = b"\x09" + np.array(7.0, "<f8").tobytes()
    message = b"\x00" + stored.id.to_bytes(4, "big") + b"\x00" + 2 * (b"\x0a\x09" + row)
    client = client_of(registry.url)
    np.testing.assert_array_equal(decode(message, {}, TABLE, "auto", client), [[7], [7]])
    with pytest.raises(MessageError, match=r"is protobuf.*expected avro"):
        decode(message, {}, TABLE, "avro", client)


def test_json_with_a_schema_is_json(registry: Registry) -> None:
    stored = registry.add("people-value", "JSON", "{}")
    message = b"\x00" + stored.id.to_bytes(4, "big") + b'[{"age": 7}]'
    np.testing.assert_array_equal(decode(message, {}, TABLE, "auto", client_of(registry.url)), [[7]])


def test_an_unknown_schema_is_the_fault_of_the_message_until_it_is_registered(registry: Registry) -> None:
    now = [0.0]
    client = client_of(registry.url, clock=lambda: now[0])
    message = avro_message(Stored(1, "", 1, "AVRO", "", "", ()))
    depths = []
    for _ in range(3):
        with pytest.raises(MessageError, match="schema 1 is not in the registry") as caught:
            decode(message, {}, VECTOR, "auto", client)
        assert caught.value.reason == "unknown_schema"
        depths.append(len(caught.traceback))
    assert depths[1] == depths[2], "a remembered error keeps no message alive"
    assert registry.requested == ["/schemas/ids/1"]
    registry.avro("waves-value", EMBEDDED)
    now[0] += schema_registry.ASK_AGAIN_S + 1
    assert decode(message, {}, VECTOR, "auto", client).shape == (1, 3)


def test_a_schema_of_another_type_is_refused(registry: Registry) -> None:
    stored = registry.add("odd-value", "THRIFT", "struct")
    with pytest.raises(MessageError, match="schema 1 is of type 'THRIFT'") as caught:
        decode(avro_message(stored), {}, VECTOR, "auto", client_of(registry.url))
    assert caught.value.reason == "unsupported_format"


def test_a_limited_number_of_schemas_is_kept(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_registry, "MOST_KEPT", 2)
    stored = [registry.avro(f"subject {i}", EMBEDDED) for i in range(3)]
    client = client_of(registry.url)
    for each in (stored[0], stored[1], stored[0], stored[2], stored[0], stored[1]):
        client.schema(each.id)
    assert registry.requested == [f"/schemas/ids/{number}" for number in (1, 2, 3, 2)]


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_an_outage_of_the_registry_is_not_the_fault_of_the_message(registry: Registry, status: int) -> None:
    message = avro_message(registry.avro("waves-value", EMBEDDED))
    client = client_of(registry.url)
    client.wait_over()
    registry.status = status
    with pytest.raises(RegistryError, match=rf"schema registry http://registry: answered {status}"):
        decode(message, {}, VECTOR, "auto", client)
    with pytest.raises(RegistryError):
        client.wait_over()
    registry.status = 0
    client.wait_over()
    assert decode(message, {}, VECTOR, "auto", client).shape == (1, 3)
    assert registry.requested[-2:] == ["/schemas/types", "/schemas/ids/1"]


def test_if_the_first_member_does_not_answer_the_next_is_tried(registry: Registry) -> None:
    registry.avro("waves-value", EMBEDDED)
    assert client_of("http://127.0.0.1:9", registry.url + "/").schema(1).format == "avro"
    with pytest.raises(RegistryError, match="gives no answer"):
        client_of("http://127.0.0.1:9").schema(1)


@pytest.mark.parametrize("answer", ["[]", '{"schema": 7, "schemaType": "PROTOBUF"}', "{}", "<html>", '"a"'])
def test_an_answer_that_no_registry_gives_is_an_error(answer: str) -> None:
    def transport(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=answer)

    client = SchemaRegistry(["http://x"], httpx.Client(transport=httpx.MockTransport(transport)), "http://x")
    with pytest.raises(RegistryError):
        client.schema(1)


def test_requests_are_authenticated() -> None:
    authorization = f"Basic {base64.b64encode(b'me:secret').decode()}"
    with running_registry(authorization) as guarded:
        with httpx.Client(auth=("me", "secret")) as known:
            assert SchemaRegistry([guarded.url], known, "").types() == ["AVRO", "JSON", "PROTOBUF"]
        with pytest.raises(RegistryError, match="answered 401"):
            client_of(guarded.url).types()


def test_without_a_registry_a_framed_message_is_refused_with_the_remedy() -> None:
    with pytest.raises(MessageError, match=r"schema 7.*source\.schema_registry") as caught:
        decode(b"\x00\x00\x00\x00\x07\x00", {}, VECTOR)
    assert caught.value.reason == "unsupported_format"


@pytest.mark.parametrize("only", ["avro", "protobuf"])
def test_a_stream_of_one_format_refuses_messages_without_a_frame(only: str, registry: Registry) -> None:
    with pytest.raises(MessageError, match="names no schema"):
        decode(b"[[1, 2, 3]]", {}, VECTOR, only, client_of(registry.url))


@pytest.mark.parametrize("library", ["fastavro", "google.protobuf"])
def test_a_missing_extra_is_reported_at_once(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=r"pip install 'driftwatch\[schema-registry\]'"):
        client_of("http://x")


@pytest.mark.parametrize(
    ("schema", "batch"),
    [
        (ImageSchema(channels=1, height=2, width=2), np.arange(8.0).reshape(2, 1, 2, 2)),
        (ImageSchema(channels=1, height=2, width=2, dtype="float32", low=0, high=1), np.full((1, 1, 2, 2), 0.5)),
        (VECTOR, np.array([[1.0, 2.0, 1e60]])),
        (
            TableSchema(columns=(*TABLE.columns, Column(name="town", kind="category", categories=("Bonn", "Ulm")))),
            np.array([[31.0, 1], [np.nan, np.nan], [7, 0]]),
        ),
    ],
)
def test_written_batches_are_read_back(schema: Schema, batch: NDArray[np.float64], registry: Registry) -> None:
    client = client_of(registry.url)
    number = client.register("some topic-value", json.dumps(avro_schema(schema)))
    assert client.register("some topic-value", json.dumps(avro_schema(schema))) == number
    value, headers = avro_writer(schema, number)(batch, schema)
    np.testing.assert_array_equal(decode(value, headers, schema, "auto", client), batch)
    registry.status = 409
    with pytest.raises(RegistryError, match="answered 409 not now"):
        client.register("some topic-value", "{}")


def test_columns_whose_names_avro_forbids_are_reported() -> None:
    with pytest.raises(UsageError, match=r"income \(EUR\).*use rows"):
        avro_schema(TableSchema(columns=(Column(name="income (EUR)", kind="numeric"),)))
