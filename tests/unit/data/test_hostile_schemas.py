"""Registry schemas and bodies made to exhaust memory or time: each is refused within bounds."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from driftwatch.data import record_sizes, schema_registry
from driftwatch.data.avro_schemas import avro_reader
from driftwatch.data.protobuf_schemas import protobuf_reader
from driftwatch.data.schema_registry import SchemaRegistry
from driftwatch.errors import MessageError, RegistryError
from tests import plain_http
from tests.registry import add_fields, message_class, proto_file, running_registry


def record(name: str, *types: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": f"f{i}", "type": each} for i, each in enumerate(types)]}


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def zigzag(number: int) -> bytes:
    return varint(number << 1)


def zero_items(count: int) -> bytes:
    """An Avro array of items of one zero byte each."""
    return zigzag(count) + bytes(count) + b"\x00"


def refusal(read: Any, body: bytes) -> MessageError:
    with pytest.raises(MessageError) as caught:
        read(body)
    return caught.value


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_sizes, "MOST_VALUES", 10_000)


@pytest.mark.parametrize(
    "items",
    [
        record("Wide", "boolean", *["null"] * 100),
        record("Narrow", "long"),
        {"type": "array", "items": "long"},
        {"type": "map", "values": "long"},
        ["string", record("Chosen", *["null"] * 100)][::-1],
    ],
    ids=["of nulls", "of one field", "lists", "maps", "by a union"],
)
@pytest.mark.usefixtures("small_limit")
def test_avro_records_of_one_byte_each_are_counted(items: Any) -> None:
    read = avro_reader(json.dumps({"type": "array", "items": items}), [])
    assert len(read(zero_items(90))) == 90
    assert refusal(read, zero_items(5_000)).reason == "too_large"
    assert len(read(zero_items(90))) == 90, "each body is counted on its own"


@pytest.mark.usefixtures("small_limit")
def test_avro_records_that_double_at_each_level_are_checked_quickly_and_counted() -> None:
    nest = [record("R0", "null"), *(record(f"R{i}", f"R{i - 1}", f"R{i - 1}") for i in range(1, 60))]
    began = time.process_time()
    read = avro_reader(json.dumps(nest), [])
    assert refusal(read, zigzag(59)).reason == "too_large"
    assert read(zigzag(1)) == {"f0": {"f0": None}, "f1": {"f0": None}}
    assert time.process_time() - began < 5


def chain(first: int, last: int) -> str:
    return json.dumps([record(f"R{i}", f"R{i - 1}" if i else "long") for i in range(first, last)])


@pytest.mark.parametrize(
    ("schema", "referenced"),
    [
        ('{"type":"array","items":' * 200 + '"long"' + "}" * 200, []),
        ('{"type":"array","items":' * 50_000, []),
        (chain(0, 50_000), []),
        (chain(2_000, 3_000), [chain(0, 1_000), chain(1_000, 2_000)]),
    ],
    ids=["nested", "nested and cut short", "by names", "by references"],
)
def test_deep_avro_schemas_are_refused(schema: str, referenced: list[str]) -> None:
    with pytest.raises(MessageError, match="is nested too deeply") as caught:
        avro_reader(schema, referenced)
    assert caught.value.reason == "unsupported_format"


def test_an_avro_schema_that_claims_to_be_parsed_is_checked_nevertheless() -> None:
    within = {name: record(name, ["null", other]) for name, other in (("R", "S"), ("S", "R"))}
    claim = record("Q") | {"__fastavro_parsed": True, "__named_schemas": within}
    with pytest.raises(MessageError, match="UnknownType: R"):
        avro_reader('"R"', [json.dumps(claim)])


def rows(columns: int, field_type: str = "optional double") -> FileDescriptorProto:
    file = proto_file(name="rows")
    add_fields(file.message_type.add(name="Batch"), rows="repeated .Row")
    add_fields(file.message_type.add(name="Row"), **{f"c{i}": field_type for i in range(columns)})
    return file


def reader(file: FileDescriptorProto) -> Any:
    return protobuf_reader(base64.b64encode(file.SerializeToString()).decode(), {})


@pytest.mark.parametrize("field_type", ["double", "optional double"])
@pytest.mark.usefixtures("small_limit")
def test_protobuf_messages_of_two_bytes_each_are_counted(field_type: str) -> None:
    read = reader(rows(100, field_type))
    assert len(read(b"\x00" + b"\x0a\x00" * 90)["rows"]) == 90
    assert refusal(read, b"\x00" + b"\x0a\x00" * 5_000).reason == "too_large"


@pytest.mark.usefixtures("small_limit")
def test_protobuf_messages_are_counted_at_any_depth() -> None:
    file = rows(100)
    holder = file.message_type.add(name="Holder")
    add_fields(holder, id="int64", at="fixed64", size="fixed32", note="string", batch=".Batch")
    body = b"\x08\x80\x01\x11" + bytes(8) + b"\x1d" + bytes(4) + b"\x22\x02\x0a\x00"
    some, many = (b"\x2a" + varint(2 * n) + b"\x0a\x00" * n for n in (90, 5_000))
    read = reader(file)
    assert len(read(b"\x02\x04" + body + some)["batch"]["rows"]) == 90
    assert refusal(read, b"\x02\x04" + body + many).reason == "too_large"
    assert refusal(read, b"\x02\x04" + body + many + b"\xff").reason == "too_large"


@pytest.mark.usefixtures("small_limit")
def test_protobuf_groups_and_extensions_are_counted() -> None:
    file = proto_file(name="old")
    file.syntax = "proto2"
    batch = file.message_type.add(name="Batch")
    batch.extension_range.add(start=100, end=200)
    row = batch.nested_type.add(name="Row")
    add_fields(row, **{f"c{i}": "double" for i in range(100)})
    batch.field.add(name="row", number=1, label="LABEL_REPEATED", type="TYPE_GROUP", type_name=".Batch.Row")
    file.extension.add(
        name="more", number=100, label="LABEL_REPEATED", type="TYPE_MESSAGE", type_name=".Batch.Row", extendee=".Batch"
    )
    read = reader(file)
    for one in (b"\x0b\x0c", b"\xa2\x06\x00"):
        read(b"\x00" + one * 90)
        assert refusal(read, b"\x00" + one * 5_000).reason == "too_large"


@pytest.mark.usefixtures("small_limit")
@pytest.mark.parametrize(
    "body", [b"\x0b" * 50_000, b"\x0a\x00" * 50 + b"\xff" * 50_000, b"\x0a\x7f" * 200, b"\x0f" * 50_000]
)
def test_protobuf_bodies_that_cannot_be_counted_are_malformed(body: bytes) -> None:
    assert refusal(reader(rows(100)), b"\x00" + body).reason == "malformed"


@pytest.mark.usefixtures("small_limit")
def test_protobuf_rows_within_the_limit_are_read() -> None:
    file = rows(3, "double")
    batch = message_class(file, "Batch")(rows=[{"c0": i, "c1": -1.5, "c2": 2**40} for i in range(1, 1_000)])
    body = batch.SerializeToString()
    assert len(body) // 2 * 7 > record_sizes.MOST_VALUES, "otherwise it would not be counted"
    assert reader(file)(b"\x00" + body)["rows"][-1] == {"c0": 999, "c1": -1.5, "c2": 2**40}


def test_deep_protobuf_schemas_are_refused_each_time() -> None:
    file = proto_file()
    for i in range(3_000):
        add_fields(file.message_type.add(name=f"M{i}"), x=f".M{i + 1}" if i < 2_999 else "double")
    read = reader(file)
    for _ in range(2):
        assert refusal(read, b"\x00\x0a\x00").reason == "unsupported_format"
    imports = {f"i{i}": proto_file(imports=[f"i{i + 1}"], name=f"i{i}") for i in range(2_000)}
    encoded = {name: base64.b64encode(each.SerializeToString()).decode() for name, each in imports.items()}
    with pytest.raises(MessageError, match="is nested too deeply"):
        protobuf_reader(base64.b64encode(proto_file(imports=["i0"]).SerializeToString()).decode(), encoded)


@pytest.mark.parametrize(
    ("raw", "imported"), [(b"\x1a\x01\xff", {}), (b"\x1a\x01a", {"a": b"\x22\x03\x0a\x01\xff"}), (b"\x62\x01x", {})]
)
def test_invalid_protobuf_schemas_are_not_the_fault_of_the_registry(raw: bytes, imported: dict[str, bytes]) -> None:
    encoded = {name: base64.b64encode(each).decode() for name, each in imported.items()}
    with pytest.raises(MessageError, match="is incomplete") as caught:
        protobuf_reader(base64.b64encode(raw).decode(), encoded)
    assert caught.value.reason == "unsupported_format"


def answering(answer: Any, requested: list[str] | None = None, **options: Any) -> SchemaRegistry:
    """A registry whose answers are computed from the path."""

    def transport(request: httpx.Request) -> httpx.Response:
        if requested is not None:
            requested.append(request.url.path)
        content = answer(request.url.path)
        return content if isinstance(content, httpx.Response) else httpx.Response(200, json=content)

    return SchemaRegistry(["http://x"], httpx.Client(transport=httpx.MockTransport(transport)), "http://x", **options)


def reference(subject: str, name: str = "") -> dict[str, Any]:
    return {"name": name or subject, "subject": subject, "version": 1}


def test_schemas_that_refer_to_each_other_are_refused() -> None:
    requested: list[str] = []
    registry = answering(lambda _: {"id": 1, "schema": '"long"', "references": [reference("a", "n")]}, requested)
    for _ in range(2):
        with pytest.raises(MessageError, match="refers to itself"):
            registry.schema(1)
    assert len(requested) == 2, "requested once, then remembered for half a minute"


def test_endless_references_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    count = iter(range(10_000))

    def endless(_: str) -> dict[str, Any]:
        return {"id": 1, "schema": '"long"', "references": [reference(f"s{next(count)}") for _ in range(2)]}

    with pytest.raises(MessageError, match="refers to more than 200 schemas"):
        answering(endless).schema(1)


def test_a_schema_with_many_references_to_it_is_requested_once() -> None:
    def layered(path: str) -> dict[str, Any]:
        level = 30 if path.startswith("/schemas") else int(path.split("/")[2])
        more = [reference(str(level - 1), f"{level - 1}{side}") for side in "ab"] if level else []
        return {"id": 1, "schema": json.dumps(record(f"R{level}", "long")), "references": more}

    requested: list[str] = []
    assert answering(layered, requested).schema(1).read(b"\x02") == {"f0": 1}
    assert len(requested) == 31


def test_large_schemas_are_refused_or_not_kept_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def padded(size: int) -> dict[str, Any]:
        return {"id": 1, "schema": json.dumps({"type": "long", "doc": "x" * size})}

    referring = padded(3 << 20) | {"references": [reference("a")]}
    with pytest.raises(MessageError, match="more than 4 MiB"):
        answering(lambda path: referring if path.startswith("/schemas") else padded(2 << 20)).schema(1)
    with pytest.raises(RegistryError, match="more than 4 MiB"):
        answering(lambda _: padded(5 << 20)).schema(1)

    monkeypatch.setattr(schema_registry, "MOST_KEPT_BYTES", 2_500)
    requested: list[str] = []
    registry = answering(lambda _: padded(1_000), requested)
    for number in (1, 2, 1, 3, 1, 2):
        registry.schema(number)
    assert requested == [f"/schemas/ids/{number}" for number in (1, 2, 3, 2)]


def test_slow_nested_and_compressed_answers_are_refused() -> None:
    now = [0.0]

    def dripping() -> Any:
        while True:
            now[0] += 2.0
            yield b" "

    drip = answering(lambda _: httpx.Response(200, content=dripping()), clock=lambda: now[0])
    with pytest.raises(RegistryError, match="incomplete after 30 s"):
        drip.schema(1)
    with pytest.raises(RegistryError, match="gives no answer"):
        answering(lambda _: httpx.Response(200, text="[" * 100_000)).schema(1)
    compressed = httpx.Response(200, headers={"content-encoding": "gzip"}, content=iter([b"x"]))
    with pytest.raises(RegistryError, match="compressed"):
        answering(lambda _: compressed).schema(1)


def test_a_real_registry_is_asked_not_to_compress() -> None:
    with running_registry() as registry, plain_http.Client() as client:
        registered = registry.avro("a", "long")
        assert SchemaRegistry([registry.url], client, "").schema(registered.id).read(b"\x02") == 1
