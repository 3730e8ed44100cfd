"""Bodies made to break a decoder: each is refused with a reason, quickly, and no other error is raised."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from driftwatch.data.codecs import decode
from driftwatch.data.schema import Column, ImageSchema, Schema, TableSchema, VectorSchema
from driftwatch.errors import MessageError

VECTOR = VectorSchema(dim=3)
GREY = ImageSchema(channels=1, height=4, width=5)
TABLE = TableSchema(
    columns=(Column(name="age", kind="numeric"), Column(name="town", kind="category", categories=("Bonn", "Ulm")))
)


def v2(**changed: object) -> bytes:
    tensor: dict[str, object] = {"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}
    return json.dumps({"inputs": [tensor | changed]}).encode()


def binary(size: object, data: bytes, **changed: object) -> bytes:
    """A V2 request with a tensor's data after the JSON."""
    tensor: dict[str, object] = {"name": "x", "shape": [1, 3], "datatype": "FP64"}
    return json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": size}} | changed]}).encode() + data


def npy(header: str) -> bytes:
    text = header.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(24)


def pickled() -> bytes:
    held = io.BytesIO()
    np.save(held, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return held.getvalue()


def arrow(columns: Mapping[str, pa.Array], names: list[str] | None = None) -> bytes:
    table = pa.Table.from_arrays(list(columns.values()), names=names or list(columns))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def bomb() -> bytes:
    """A stream with a compressed column whose buffer claims to unpack to a terabyte."""
    table = pa.table({"age": np.zeros(1_000)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    claim = (8_000).to_bytes(8, "little")
    stream = bytes(sink.getvalue())
    assert stream.count(claim + b"\x28\xb5\x2f\xfd") == 1  # followed by zstd's magic number
    return stream.replace(claim + b"\x28\xb5\x2f\xfd", (1 << 40).to_bytes(8, "little") + b"\x28\xb5\x2f\xfd")


HOSTILE: dict[str, tuple[bytes, Schema]] = {
    "datatype is a list": (v2(datatype=[]), VECTOR),
    "datatype is unknown": (v2(datatype="FP7"), VECTOR),
    "shape is negative": (v2(shape=[-1, 3]), VECTOR),
    "shape overflows": (v2(shape=[2**62, 2**62]), VECTOR),
    "shape is not of integers": (v2(shape=[1.5, True]), VECTOR),
    "shape is long": (v2(shape=[1] * 100), VECTOR),
    "shape is long, and its product longer": (v2(shape=[2**39] * 100_000), VECTOR),
    "name is nested more deeply than can be printed": (
        v2(name=0).replace(b'"name": 0', b'"name": ' + b"[" * 1_000 + b"]" * 1_000),
        VECTOR,
    ),
    "data is an object": (v2(data={"a": 1}), VECTOR),
    "data is a text": (v2(data="123"), VECTOR),
    "binary data is cut off": (binary(24, bytes(23)), VECTOR),
    "binary data is followed by more": (binary(24, bytes(25)), VECTOR),
    "binary data has no whole number of values": (binary(23, bytes(23)), VECTOR),
    "binary data has a negative size": (binary(-1, bytes(24)), VECTOR),
    "binary data has no size": (binary(None, b"1"), VECTOR),
    "binary data has an unknown type": (binary(24, bytes(24), datatype=[]), VECTOR),
    "binary data has fewer values than its shape": (binary(16, bytes(16)), VECTOR),
    "binary data is not finite": (binary(24, b"\xff" * 24), VECTOR),
    "binary texts are cut off": (binary(5, b"\x02\0\0\0a", datatype="BYTES", name="town"), TABLE),
    "binary texts lack a length": (binary(3, b"\x01\0\0", datatype="BYTES", name="town"), TABLE),
    "binary texts are no UTF-8": (binary(5, b"\x01\0\0\0\xff", datatype="BYTES", name="town"), TABLE),
    "binary data follows deep nesting": (b'{"binary_data_size": ' + b"[" * 100_000, VECTOR),
    "binary data follows no object": (b'["binary_data_size"]' + bytes(8), VECTOR),
    "binary data follows inputs of numbers": (b'{"inputs": [1, "binary_data_size"]}' + bytes(8), VECTOR),
    "inputs is null": (b'{"inputs": null}', VECTOR),
    "nested deeply": (b"[" * 100_000 + b"]" * 100_000, VECTOR),
    "nested as deeply as parsers allow": (b"[" * 900 + b"1" + b"]" * 900, VECTOR),
    "a long text among numbers": (json.dumps([[1, 2, "a" * 100_000]] + [[1, 2, 3]] * 1000).encode(), VECTOR),
    "a huge whole number": (b"[[1, 2, 1" + b"0" * 5000 + b"]]", VECTOR),
    "infinity by exponent": (b"[[1, 2, 1e999]]", VECTOR),
    "NaN as a word": (b"[[1, 2, NaN]]", VECTOR),
    "not UTF-8": (b'{"instances": [["\xff\xfe"]]}', VECTOR),
    "a lone surrogate": (b'[{"age": 1, "town": "\\ud800"}, 1]', TABLE),
    "a scalar": (b"7", VECTOR),
    "rows with a nested value": (b'[{"age": {"a": 1}, "town": "Bonn"}]', TABLE),
    "rows without a column": (b'[{"age": 1}]', TABLE),
    "npy: header is no dict": (npy("[1, 2]"), VECTOR),
    "npy: header calls": (npy("{'descr': __import__('os').getcwd(), 'fortran_order': False, 'shape': (3,)}"), VECTOR),
    "npy: shape is vast": (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 3)}"), VECTOR),
    "npy: shape is negative": (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 3)}"), VECTOR),
    "npy: objects": (npy("{'descr': '|O', 'fortran_order': False, 'shape': (3,)}"), VECTOR),
    "npy: pickled": (pickled(), VECTOR),
    "npy: cut short": (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}")[:60], VECTOR),
    "arrow: cut short": (arrow({"x": pa.array([1.0, 2.0])})[:-40], VECTOR),
    "arrow: a column twice": (arrow({"a": pa.array([1]), "b": pa.array(["Ulm"])}, ["age", "age"]), TABLE),
    "arrow: claims a terabyte": (bomb(), TABLE),
    "arrow: ragged lists": (arrow({"x": pa.array([[1.0, 2.0, 3.0], [1.0]])}), VECTOR),
    "arrow: nothing but magic": (b"\xff\xff\xff\xff", VECTOR),
    "CloudEvent in CloudEvents": (b'{"specversion": "1.0", "data": {"specversion": "1.0", "data": [1]}}', GREY),
    "CloudEvent with damaged base64": (b'{"specversion": "1.0", "data_base64": "%%%"}', GREY),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_body_is_refused_with_a_reason_and_a_short_message(what: str) -> None:
    value, schema = HOSTILE[what]
    with pytest.raises(MessageError) as caught:
        decode(value, {}, schema)
    assert caught.value.reason
    assert 5 < len(str(caught.value)) < 500


def test_an_arrow_stream_that_would_be_too_large_is_refused_before_unpacking() -> None:
    with pytest.raises(MessageError, match="unpacks to 1099511627776 bytes") as caught:
        decode(bomb(), {}, TABLE)
    assert caught.value.reason == "too_large"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("grows", [False, True])
def test_batches_that_share_a_long_dictionary_are_refused_before_each_is_checked(grows: bool) -> None:
    words = pa.array([f"{i:08}" for i in range(100_000)])
    schema = pa.schema([("age", pa.float64()), ("town", pa.dictionary(pa.int32(), pa.string()))])
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for i in range(300):
            town = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), words.slice(0, 99_000 + i * grows))
            writer.write_batch(pa.record_batch([pa.array([1.0]), town], schema=schema))
    value = bytes(sink.getvalue())
    assert len(value) < 2 << 20
    with pytest.raises(MessageError, match=r"holds \d+ bytes") as caught:
        decode(value, {}, TABLE)
    assert caught.value.reason == "too_large"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("kind", "columns"), [(pa.string_view(), 3), (pa.binary_view(), 1), (pa.binary_view(), 3)])
def test_views_that_repeat_a_long_text_are_refused_before_they_are_copied(kind: pa.DataType, columns: int) -> None:
    text = b"x" * 100_000
    views = np.zeros((20, 4), np.int32)  # little enough in each column
    views[:, 0], views[:, 1] = len(text), np.frombuffer(text[:4], np.int32)[0]
    buffers = [None, pa.py_buffer(views.tobytes()), pa.py_buffer(text)]
    long = pa.Array.from_buffers(kind, len(views), buffers)
    others = {f"other {i}": long for i in range(columns)}
    short = {"age": pa.array([1.0] * len(views)), "town": pa.array(["Ulm"] * len(views))}
    with pytest.raises(MessageError, match="repeats the same text too often") as caught:
        decode(arrow(short | others), {}, TABLE)
    assert caught.value.reason == "too_large"


@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary_view()])
@pytest.mark.parametrize("name", ["age", "town"])
def test_a_dictionary_of_views_is_refused(kind: pa.DataType, name: str) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array(["7", "8"], kind))
    columns = {"age": pa.array([1.0, 2.0]), "town": pa.array(["Ulm", "Bonn"])} | {name: column}
    with pytest.raises(MessageError, match=f"column {name}: is of type dictionary") as caught:
        decode(arrow(columns), {}, TABLE)
    assert caught.value.reason == "schema"


@pytest.mark.parametrize("kind", [pa.decimal32(5, 1), pa.decimal64(10, 1), pa.decimal128(20, 1), pa.decimal256(50, 1)])
def test_decimals_of_any_width_are_read(kind: pa.DataType) -> None:
    columns = {"age": pa.array([Decimal("1.5"), None], kind), "town": pa.array(["Ulm", "Bonn"])}
    assert np.array_equal(decode(arrow(columns), {}, TABLE), [[1.5, 1], [np.nan, 0]], equal_nan=True)


@pytest.mark.timeout(20)
def test_missing_columns_are_searched_for_only_once() -> None:
    table = TableSchema(columns=tuple(Column(name=f"column {i}", kind="numeric") for i in range(1_000)))
    with pytest.raises(MessageError, match="is missing, and 999 more"):
        decode(b"[" + b",".join([b"{}"] * 200_000) + b"]", {}, table)
