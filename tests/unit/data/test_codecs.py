"""Wire formats: encoded batches are decoded unchanged, and any other message is refused with a reason."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.data.binary_tensors import V2_TYPES
from driftwatch.data.cells import category_text
from driftwatch.data.codecs import decode, encode, stream_names
from driftwatch.data.schema import Column, ImageSchema, TableSchema, VectorSchema, as_floats
from driftwatch.data.structured_events import StructuredEvent
from driftwatch.errors import MessageError, UsageError

IMAGE = ImageSchema(channels=1, height=4, width=5)
COLOUR = ImageSchema(channels=3, height=4, width=5, dtype="float32", low=0.0, high=1.0)
VECTOR = VectorSchema(dim=3)
TABLE = TableSchema(
    columns=(
        Column(name="age", kind="numeric"),
        Column(name="town", kind="category", categories=("Bonn", "Ulm")),
    )
)
RNG = np.random.default_rng(0)
BATCHES: dict[str, tuple[Any, np.ndarray]] = {
    "image": (IMAGE, RNG.integers(0, 256, (6, 1, 4, 5)).astype(np.float32)),
    "colour": (COLOUR, RNG.random((6, 3, 4, 5)).astype(np.float32)),
    "vector": (VECTOR, RNG.standard_normal((6, 3))),
    "table": (TABLE, np.array([[3.5, 0], [np.nan, 1], [1, 2], [2, np.nan]])),
}
FORMATS = ("json", "v2", "npy", "arrow")


@pytest.mark.parametrize("kind", BATCHES)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("labelled", [True, False])
def test_round_trip(kind: str, form: str, labelled: bool) -> None:
    schema, batch = BATCHES[kind]
    value, headers = encode(batch, schema, form)
    found = decode(value, headers if labelled else {}, schema)
    np.testing.assert_array_equal(found, batch)
    assert found.dtype == (schema.dtype if isinstance(schema, ImageSchema) else batch.dtype)
    assert as_floats(found).dtype == batch.dtype


def test_rows_round_trip() -> None:
    value, headers = encode(BATCHES["table"][1], TABLE, "rows")
    assert orjson.loads(value)[1] == {"age": None, "town": "Ulm"}
    np.testing.assert_array_equal(decode(value, headers, TABLE), BATCHES["table"][1])
    with pytest.raises(UsageError, match="format rows is for tables"):
        encode(BATCHES["image"][1], IMAGE, "rows")


@pytest.mark.parametrize(
    ("datatype", "cells"),
    [
        ("INT64", [9007199254740993, None, 9007199254740992]),
        ("UINT64", [18446744073709551615, 7]),
        ("BOOL", [True, None, False]),
        ("BOOL", [True, False]),
    ],
)
def test_numbers_of_v2_are_the_categories_that_they_are_in_rows(datatype: str, cells: list[Any]) -> None:
    known = ("7", "9007199254740992", "9007199254740993", "18446744073709551615", "false", "true")
    schema = TableSchema(columns=(Column(name="shop", kind="category", categories=known),))
    tensor = {"name": "shop", "shape": [len(cells)], "datatype": datatype, "data": cells}
    from_v2 = decode(orjson.dumps({"inputs": [tensor]}), {}, schema)
    np.testing.assert_array_equal(from_v2, decode(orjson.dumps([{"shop": cell} for cell in cells]), {}, schema))
    assert not (from_v2 == schema.columns[0].unseen).any()


TEXT = st.text(st.characters(codec="utf-8"), max_size=4) | st.sampled_from(["1", "1.0", "True", " NA", "1e5", "é"])
CELLS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "INT64": (pa.int64(), st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2)),
    "UINT64": (pa.uint64(), st.integers(0, 2**64 - 1) | st.integers(0, 2)),
    "FP64": (pa.float64(), st.floats(-1e99, 1e99) | st.integers(-2, 2).map(float)),
    "BOOL": (pa.bool_(), st.booleans()),
    "BYTES": (pa.string(), TEXT),
}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data(), datatype=st.sampled_from(list(CELLS)), kind=st.sampled_from(["numeric", "category"]))
def test_a_column_is_the_same_in_every_format(data: st.DataObject, datatype: str, kind: Any) -> None:
    arrow_type, values = CELLS[datatype]
    cells = data.draw(st.lists(values | st.none(), min_size=1, max_size=20))
    learned = data.draw(st.sets(st.sampled_from(cells)))
    known = tuple(sorted({category_text(cell) for cell in learned if cell is not None} | {"0", "true"}))
    schema = TableSchema(columns=(Column(name="c", kind=kind, categories=known if kind == "category" else ()),))
    column = pa.array(cells, arrow_type)
    bodies = {
        "rows": orjson.dumps([{"c": cell} for cell in cells]),
        "v2": orjson.dumps({"inputs": [{"name": "c", "shape": [len(cells)], "datatype": datatype, "data": cells}]}),
        "arrow": as_arrow(column),
        "arrow by dictionary": as_arrow(column.dictionary_encode()),
    }
    if None not in cells:
        bodies["binary v2"] = with_binary_tensors(bodies["v2"])
    found = {form: decoded_or_reason(body, schema) for form, body in bodies.items()}
    assert all(each == found["rows"] for each in found.values()), found


def with_binary_tensors(body: bytes) -> bytes:
    """A V2 request with its tensors after the JSON, as Triton's clients send it."""
    request = orjson.loads(body)
    parts = []
    for tensor in request["inputs"]:
        data = tensor.pop("data")
        if tensor["datatype"] == "BYTES":
            texts = [text.encode() for text in data]
            parts.append(b"".join(len(text).to_bytes(4, "little") + text for text in texts))
        else:
            parts.append(np.array(data, V2_TYPES[tensor["datatype"]]).tobytes())
        tensor["parameters"] = {"binary_data_size": len(parts[-1])}
    return orjson.dumps(request) + b"".join(parts)


@pytest.mark.parametrize("kind", ["image", "colour", "vector"])
@pytest.mark.parametrize("label", [b"application/json", b"application/octet-stream"])
def test_binary_tensors_of_v2_are_read(kind: str, label: bytes) -> None:
    schema, batch = BATCHES[kind]
    value = with_binary_tensors(encode(batch, schema, "v2")[0])
    np.testing.assert_array_equal(decode(value, {"content-type": label}, schema), batch)


def test_binary_columns_of_v2_are_read_in_the_order_of_the_inputs() -> None:
    inputs = [
        {"name": "town", "shape": [2, 1], "datatype": "BYTES", "data": ["Ulm", "Köln"]},
        {"name": "unused", "shape": [2], "datatype": "BOOL", "data": [True, False]},
        {"name": "age", "shape": [2], "datatype": "FP16", "data": [1.5, None]},
    ]
    value = with_binary_tensors(orjson.dumps({"id": "é", "inputs": inputs}))
    np.testing.assert_array_equal(decode(value, {}, TABLE), [[1.5, 1], [np.nan, TABLE.columns[1].unseen]])


def as_arrow(column: pa.Array) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("c", column.type)])) as writer:
        writer.write_table(pa.table({"c": column}))
    return bytes(sink.getvalue())


def decoded_or_reason(body: bytes, schema: TableSchema) -> str:
    """The decoded column as text, since NaN does not equal itself, or the reason for refusing it."""
    try:
        return str(decode(body, {}, schema)[:, 0].tolist())
    except MessageError as error:
        return error.reason


@pytest.mark.parametrize("inner", ["json", "npy"])
def test_structured_cloudevents_are_unwrapped(inner: str) -> None:
    batch = BATCHES["image"][1]
    value, headers = encode(batch, IMAGE, inner)
    event: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/models/a", "type": "x"}
    if inner == "json":
        event["data"] = orjson.loads(value)
    else:
        event |= {
            "data_base64": base64.b64encode(value).decode(),
            "datacontenttype": headers["content-type"].decode(),
        }
    event_headers = {"content-type": b"application/cloudevents+json; charset=utf-8"}
    np.testing.assert_array_equal(decode(orjson.dumps(event), event_headers, IMAGE), batch)
    assert stream_names(event_headers, b"key", "topic", StructuredEvent(orjson.dumps(event))) == (
        "/models/a",
        "key",
        "topic",
    )


def test_the_most_explicit_name_of_a_stream_comes_first() -> None:
    headers = {"driftwatch-stream": b"a", "ce_source": b"b"}
    assert stream_names(headers, b"c", "d") == ("a",)
    assert stream_names({"ce_source": b"b", "ce_inferenceservicename": b"i"}, b"c", "d") == ("i", "b", "c", "d")
    assert stream_names({}, None, "d") == ("d",)


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (b"", {}, "empty"),
        (b"not json", {}, "malformed"),
        (b"x", {"content-type": b"text/csv"}, "unsupported_format"),
        (b"garbage", {"content-type": b"application/x-www-form-urlencoded"}, "malformed"),
        (b"garbage", {"content-type": b"text/plain; charset=utf-8"}, "malformed"),
        (b'{"specversion": "1.0", "data": {"specversion": "1.0"}}', {}, "unsupported_format"),
        (b'{"specversion": "1.0", "data_base64": "%"}', {}, "malformed"),
        (b'{"specversion": "1.0"}', {}, "empty"),
        (b'{"some": "thing"}', {}, "schema"),
        (b'{"inputs": []}', {}, "schema"),
        (b'{"inputs": [{"name": "a", "shape": [1, 4], "datatype": "FP32", "data": [1]}]}', {}, "shape"),
        (b'{"inputs": [{"name": "a", "shape": [1], "datatype": "FP8", "data": [1]}]}', {}, "schema"),
        (b'{"inputs": [{"name": "a", "shape": [1], "datatype": "FP32"}]}', {}, "schema"),
    ],
)
def test_unusable_messages_are_refused_with_a_reason(value: bytes, headers: dict[str, bytes], reason: str) -> None:
    with pytest.raises(MessageError) as caught:
        decode(value, headers, IMAGE)
    assert caught.value.reason == reason


@pytest.mark.parametrize("label", [b"application/x-www-form-urlencoded", b"application/octet-stream", b"text/plain"])
def test_generic_content_types_are_ignored(label: bytes) -> None:
    with pytest.raises(MessageError, match=r"^is not valid JSON: "):
        decode(b"garbage", {"content-type": label}, IMAGE)
    batch = np.zeros((1, *IMAGE.shape))
    for form in ("json", "npy", "arrow"):
        np.testing.assert_array_equal(decode(encode(batch, IMAGE, form)[0], {"content-type": label}, IMAGE), batch)


def test_an_array_that_declares_more_than_it_holds_is_refused_before_allocation() -> None:
    value, _ = encode(BATCHES["vector"][1], VECTOR, "npy")
    huge = value.replace(b"(6, 3)", b"(9999999999, 3)")
    with pytest.raises(MessageError, match=r"declares shape|no npy"):
        decode(huge, {}, VECTOR)


def test_pickled_arrays_are_refused() -> None:
    import io

    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(MessageError, match="holds object values"):
        decode(buffer.getvalue(), {}, VECTOR)


def decodes_or_refuses(value: bytes, form: str, kind: str) -> None:
    schema, _ = BATCHES[kind]
    try:
        found = decode(value, {}, schema, form)
    except MessageError as error:
        message = str(error)
    else:
        assert found.shape[1:] == schema.shape
        return
    assert message
    assert "\n" not in message


ANY_FORMAT = st.sampled_from(["auto", "json", "v1", "v2", "rows", "npy", "arrow", "cloudevents"])
ANY_KIND = st.sampled_from(list(BATCHES))


@settings(max_examples=300, deadline=None)
@given(value=st.binary(max_size=200), form=ANY_FORMAT, kind=ANY_KIND)
def test_any_bytes_are_decoded_or_refused(value: bytes, form: str, kind: str) -> None:
    decodes_or_refuses(value, form, kind)


@settings(max_examples=300, deadline=None)
@given(
    form=st.sampled_from(FORMATS),
    kind=ANY_KIND,
    place=st.integers(0, 10_000),
    byte=st.integers(0, 255),
    as_=ANY_KIND,
)
def test_damaged_messages_are_decoded_or_refused(form: str, kind: str, place: int, byte: int, as_: str) -> None:
    schema, batch = BATCHES[kind]
    value = bytearray(encode(batch, schema, form)[0])
    value[place % len(value)] = byte
    decodes_or_refuses(bytes(value), "auto", as_)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["instances", "inputs", "data", "shape", "datatype", "name", "age", "town"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(body=JSON, form=st.sampled_from(["auto", "v1", "v2", "rows", "cloudevents"]), kind=ANY_KIND)
def test_any_json_is_decoded_or_refused(body: Any, form: str, kind: str) -> None:
    decodes_or_refuses(orjson.dumps(body), form, kind)
