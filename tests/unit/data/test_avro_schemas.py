"""Decoding Avro records under a writer's schema."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.data.avro_schemas import avro_reader
from driftwatch.errors import MessageError
from tests.registry import refused_for

MONEY = {"type": "record", "name": "Money", "namespace": "shop", "fields": [{"name": "amount", "type": "double"}]}
ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "income", "type": ["null", "double"]},
        {"name": "age", "type": "int"},
        {"name": "town", "type": ["null", {"type": "enum", "name": "Town", "symbols": ["Bonn", "Ulm"]}]},
        {"name": "vector", "type": {"type": "array", "items": "float"}},
        {"name": "inner", "type": {"type": "record", "name": "Inner", "fields": [{"name": "note", "type": "string"}]}},
        {"name": "counts", "type": {"type": "map", "values": "long"}},
    ],
}


def reader(schema: Any, *referenced: Any) -> Any:
    return avro_reader(json.dumps(schema), [json.dumps(each) for each in referenced])


def written(schema: Any, record: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return out.getvalue()


orders = st.fixed_dictionaries(
    {
        "income": st.none() | st.floats(allow_nan=False),
        "age": st.integers(-(2**31), 2**31 - 1),
        "town": st.sampled_from([None, "Bonn", "Ulm"]),
        "vector": st.lists(st.floats(width=32, allow_nan=False), max_size=4),
        "inner": st.fixed_dictionaries({"note": st.text(max_size=5)}),
        "counts": st.dictionaries(st.text(max_size=3), st.integers(-(2**63), 2**63 - 1), max_size=2),
    }
)


@given(orders)
def test_records_written_by_fastavro_are_read(order: dict[str, Any]) -> None:
    assert reader(ORDER)(written(ORDER, order)) == order


@given(st.binary(max_size=60))
def test_any_other_bytes_are_malformed(body: bytes) -> None:
    assert refused_for(reader(ORDER), body) in ("", "malformed")


def test_surplus_bytes_indicate_another_schema() -> None:
    with pytest.raises(MessageError, match="1 bytes after its schema"):
        reader("double")(bytes(9))


def test_types_of_referenced_schemas_are_known_by_name() -> None:
    order = {"type": "record", "name": "Order", "namespace": "shop", "fields": [{"name": "paid", "type": "Money"}]}
    body = written(MONEY, {"amount": 2.5})
    assert reader(order, MONEY)(body) == {"paid": {"amount": 2.5}}
    assert reader(["null", "shop.Money"], MONEY)(b"\x02" + body) == {"amount": 2.5}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "long", "logicalType": "timestamp-millis"}, 1_500, 1.5),
        ({"type": "long", "logicalType": "local-timestamp-micros"}, -500_000, -0.5),
        ({"type": "long", "logicalType": "timestamp-millis"}, 2**62, 2**62 / 1000),
        ({"type": "int", "logicalType": "date"}, 2, 172_800),
        ({"type": "int", "logicalType": "time-millis"}, 60_000, 60),
        ({"type": "string", "logicalType": "uuid"}, "none at all", "none at all"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, b"\xff\x38", -2.0),
        ({"type": "fixed", "name": "F", "size": 2, "logicalType": "decimal", "precision": 4}, b"\x01\x00", 256.0),
        ({"type": "string", "logicalType": "of somebody"}, "a", "a"),
    ],
)
def test_times_are_seconds_and_decimals_are_numbers(schema: Any, value: Any, expected: Any) -> None:
    plain = {name: field for name, field in schema.items() if name != "logicalType"}
    read = reader(schema)(written(plain, value))
    assert read == (expected if isinstance(expected, str) else pytest.approx(expected))


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}, "nests Node"),
        ({"type": "array", "items": "null"}, "without any size"),
        ({"type": "array", "items": {"type": "record", "name": "Empty", "fields": []}}, "without any size"),
        ({"type": "record", "name": "Order", "fields": [{"name": "paid", "type": "Money"}]}, "Money"),
        ({"type": "nothing"}, "no Avro schema"),
        (7, "no Avro schema"),
    ],
)
def test_invalid_schemas_and_those_that_a_short_body_could_inflate_are_refused(schema: Any, message: str) -> None:
    with pytest.raises(MessageError, match=message) as caught:
        reader(schema)
    assert caught.value.reason == "unsupported_format"


def test_a_decimal_as_long_as_a_message_is_refused_at_once() -> None:
    body = written("bytes", b"\x7f" * (1 << 20))
    with pytest.raises(MessageError, match="a decimal has"):
        reader({"type": "bytes", "logicalType": "decimal", "precision": 9})(body)
