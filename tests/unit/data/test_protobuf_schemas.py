"""Decoding Protobuf messages under a registered schema."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.data.protobuf_schemas import protobuf_reader
from driftwatch.errors import MessageError
from tests.registry import add_fields, message_class, proto_file, refused_for

TIMES = "google/protobuf/timestamp.proto"
WRAPPERS = "google/protobuf/wrappers.proto"
STRUCT = "google/protobuf/struct.proto"
DECIMAL = "confluent/type/decimal.proto"


def order_file() -> FileDescriptorProto:
    """An order with every kind of field that a message can hold."""
    file = proto_file("shop", [TIMES, WRAPPERS, STRUCT, DECIMAL])
    town = file.enum_type.add(name="Town")
    for number, name in enumerate(("UNKNOWN", "BONN")):
        town.value.add(name=name, number=number)
    inner = file.message_type.add(name="Inner")
    add_fields(inner, note="string", self=".shop.Inner")
    order = file.message_type.add(name="Order")
    counts = order.nested_type.add(name="CountsEntry")
    counts.options.map_entry = True
    add_fields(counts, key="string", value="int64")
    line = order.nested_type.add(name="Line")
    add_fields(line, price="double")
    add_fields(
        order,
        age="int32",
        income="optional double",
        vector="repeated float",
        inner=".shop.Inner",
        raw="bytes",
        at=".google.protobuf.Timestamp",
        rate=".google.protobuf.DoubleValue",
        paid=".confluent.type.Decimal",
        more=".google.protobuf.Struct",
        town=".shop.Town",
        lines="repeated .shop.Order.Line",
        counts="repeated .shop.Order.CountsEntry",
    )
    return file


def read_as(file: FileDescriptorProto, imported: dict[str, FileDescriptorProto] | None = None) -> Any:
    encoded = {name: base64.b64encode(each.SerializeToString()).decode() for name, each in (imported or {}).items()}
    return protobuf_reader(base64.b64encode(file.SerializeToString()).decode(), encoded)


ORDER_FILE = order_file()
ORDER = message_class(ORDER_FILE, "shop.Order")
FIRST, SECOND, LINE_IN_SECOND = b"\x00", b"\x02\x02", b"\x04\x02\x00"
"""Message indexes at the start of a body: ``(0,)``, ``(1,)`` and ``(1, 0)``."""

EMPTY = {
    "age": 0,
    "income": None,
    "vector": [],
    "inner": None,
    "raw": b"",
    "at": None,
    "rate": None,
    "paid": None,
    "more": None,
    "town": "UNKNOWN",
    "lines": [],
    "counts": {},
}


@given(
    age=st.integers(-(2**31), 2**31 - 1),
    income=st.none() | st.floats(allow_nan=False),
    vector=st.lists(st.floats(width=32, allow_nan=False), max_size=4),
    raw=st.binary(max_size=5),
    prices=st.lists(st.floats(allow_nan=False), max_size=3),
    counts=st.dictionaries(st.text(max_size=3), st.integers(-(2**63), 2**63 - 1), max_size=2),
)
def test_messages_written_by_protobuf_are_read(prices: list[float], counts: dict[str, int], **plain: Any) -> None:
    order = ORDER(**plain, lines=[{"price": price} for price in prices])
    order.counts.update(counts)
    read = read_as(ORDER_FILE)(SECOND + order.SerializeToString())
    assert read == EMPTY | plain | {"lines": [{"price": price} for price in prices], "counts": counts}


def test_times_are_seconds_enums_are_names_and_wrapped_values_are_unwrapped() -> None:
    order = ORDER(town="BONN", rate={"value": 0.0}, paid={"value": b"\xff\x38", "scale": 2}, inner={"note": "a"})
    order.at.FromMilliseconds(1_500)
    order.inner.self.note = "b"
    order.more.update({"a": 1, "b": [None, {"c": "d"}]})
    read = read_as(ORDER_FILE)(SECOND + order.SerializeToString())
    assert read == EMPTY | {
        "town": "BONN",
        "rate": 0.0,
        "paid": -2.0,
        "at": 1.5,
        "inner": {"note": "a", "self": {"note": "b", "self": None}},
        "more": {"a": 1.0, "b": [None, {"c": "d"}]},
    }


def test_a_message_that_is_not_the_first_is_found_by_its_indexes() -> None:
    read = read_as(ORDER_FILE)
    assert read(FIRST) == {"note": "", "self": None}
    line = message_class(ORDER_FILE, "shop.Order.Line")(price=2.5)
    assert read(LINE_IN_SECOND + line.SerializeToString()) == {"price": 2.5}
    with pytest.raises(MessageError, match="has a message type that is not in its schema"):
        read(b"\x02\x08")


def test_imported_files_are_found_by_the_name_in_the_import() -> None:
    money, order = proto_file("shop"), proto_file("", ["shop/money.proto", TIMES, "only/options.proto"])
    add_fields(money.message_type.add(name="Money"), amount="double")
    add_fields(order.message_type.add(name="Order"), paid=".shop.Money")
    body = FIRST + b"\x0a\x09" + message_class(money, "shop.Money")(amount=2.5).SerializeToString()
    assert read_as(order, {"shop/money.proto": money})(body) == {"paid": {"amount": 2.5}}
    with pytest.raises(MessageError, match=r"incomplete.*shop\.Money") as caught:
        read_as(order)
    assert caught.value.reason == "unsupported_format"


def test_a_schema_as_text_is_refused_with_the_parameter_that_the_registry_lacks() -> None:
    with pytest.raises(MessageError, match="format=serialized"):
        protobuf_reader('syntax = "proto3"; message Order {}', {})


@given(st.binary(max_size=60))
def test_any_other_bytes_are_malformed(body: bytes) -> None:
    assert refused_for(read_as(ORDER_FILE), SECOND + body) in ("", "malformed")


def test_a_decimal_that_cannot_be_computed_is_malformed() -> None:
    for paid in ({"value": b"\x7f" * (1 << 20)}, {"value": b"\x01", "scale": 2**31 - 1}, {"scale": -(2**31)}):
        with pytest.raises(MessageError) as caught:
            read_as(ORDER_FILE)(SECOND + ORDER(paid=paid).SerializeToString())
        assert caught.value.reason == "malformed"
