"""Turning decoded records into samples."""

from __future__ import annotations

import io
import time
from typing import Any

import numpy as np
import pytest

from driftwatch.data.records import record_samples
from driftwatch.data.schema import Column, ImageSchema, Schema, TableSchema, VectorSchema
from driftwatch.errors import MessageError

TABLE = TableSchema(
    columns=(
        Column(name="age", kind="numeric"),
        Column(name="home.town", kind="category", categories=("Bonn", "Ulm")),
    )
)
GREY = ImageSchema(channels=1, height=2, width=2)
FLOATS = ImageSchema(channels=1, height=2, width=2, dtype="float32", low=0, high=1)
VECTOR = VectorSchema(dim=3)

ROW = {"id": "a", "age": 31, "home": {"town": "Ulm"}, "tags": ["x"]}


def npy(array: Any) -> bytes:
    records = io.BytesIO()
    np.save(records, array)
    return records.getvalue()


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (ROW, [[31, 1]]),
        ({"age": None, "home": None}, [[np.nan, np.nan]]),
        ({"age": 31, "home.town": "Bonn", "home": {"town": "Ulm"}}, [[31, 0]]),
        ([ROW, {"age": 2, "home": None}], [[31, 1], [2, np.nan]]),
        ({"batch": "b", "rows": [ROW, ROW], "tags": ["x"]}, [[31, 1], [31, 1]]),
        ({"age": [1, 2], "home": {"town": ["Ulm", None]}}, [[1, 1], [2, np.nan]]),
    ],
)
def test_fields_of_records_are_columns_by_name(read: Any, expected: list[list[float]]) -> None:
    np.testing.assert_array_equal(TABLE.coerce(record_samples(read, TABLE)), expected)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        ({"age": 31}, "'home.town' is missing"),
        ({"age": 31, "home": "Ulm"}, "'home.town' is missing"),
        ({"some": 1}, "'age' is missing"),
        ({"one": [ROW], "other": [ROW]}, "'age' is missing"),
        ({"rows": []}, "'age' is missing"),
        ("Ulm", "no rows"),
        ({"age": {"a": 1}, "home": None}, "row 0 holds dict"),
    ],
)
def test_records_without_the_columns_are_refused(read: Any, message: str) -> None:
    with pytest.raises(MessageError, match=message):
        TABLE.coerce(record_samples(read, TABLE))


@pytest.mark.parametrize(
    ("read", "schema", "samples"),
    [
        ([1, 2, 3], VECTOR, [[1, 2, 3]]),
        ({"id": "a", "embedding": [1, 2, 3]}, VECTOR, [[1, 2, 3]]),
        ({"id": "a", "in": {"embedding": [[1, 2, 3], [4, 5, 6]]}}, VECTOR, [[1, 2, 3], [4, 5, 6]]),
        ({"scores": [1, 2], "tags": ["1", "2", "3"], "embedding": [1, 2, 3]}, VECTOR, [[1, 2, 3]]),
        ({"rows": [{"embedding": [1, 2, 3]}, {"embedding": [4, 5, 6]}]}, VECTOR, [[1, 2, 3], [4, 5, 6]]),
        (np.array([1, 2, 3], "<f4").tobytes(), VECTOR, [[1, 2, 3]]),
        ({"id": b"abcd", "x": np.arange(6, dtype="<f4").tobytes()}, VECTOR, [[0, 1, 2], [3, 4, 5]]),
        ({"pixels": bytes([0, 1, 2, 255])}, GREY, [[[[0, 1], [2, 255]]]]),
        ({"pixels": bytes(8)}, GREY, np.zeros((2, 1, 2, 2))),
        ({"pixels": [bytes(4), bytes(4)]}, GREY, np.zeros((2, 1, 2, 2))),
        ({"pixels": [[0, 1], [2, 3]]}, GREY, [[[[0, 1], [2, 3]]]]),
        ({"pixels": npy(np.ones((3, 2, 2), np.uint8))}, GREY, np.ones((3, 1, 2, 2))),
        ({"pixels": np.full(4, 0.5, "<f4").tobytes()}, FLOATS, np.full((1, 1, 2, 2), 0.5)),
    ],
)
def test_other_samples_are_the_field_of_the_right_size(read: Any, schema: Schema, samples: Any) -> None:
    np.testing.assert_array_equal(schema.coerce(record_samples(read, schema)), samples)


@pytest.mark.parametrize(
    ("read", "schema", "message"),
    [
        ({"one": [1, 2, 3], "other": [4, 5, 6]}, VECTOR, "2 fields that may hold samples: one, other"),
        ({"one": [1, 2], "other": [4]}, VECTOR, "no fields that may hold samples: one, other"),
        ({"age": 1}, VECTOR, "no list of numbers"),
        ({"only": [1, 2]}, VECTOR, r"has shape \(2,\)"),
        ({"only": ["a", "b", "c"]}, VECTOR, "."),
        ({"pixels": bytes(5)}, GREY, "holds 5 bytes.*expected 4"),
        ({"pixels": b"\x93NUMPY"}, GREY, "npy"),
        ({"rows": [{"x": [1, 2, 3]}, {"x": [1, 2]}]}, VECTOR, "shape"),
        ({"ragged": [[1, 2, 3], [1]], "short": [1]}, VECTOR, "no fields"),
    ],
)
def test_missing_or_ambiguous_samples_are_refused(read: Any, schema: Schema, message: str) -> None:
    with pytest.raises(MessageError, match=message):
        schema.coerce(record_samples(read, schema))


def test_samples_of_many_records_are_read_together() -> None:
    vector = VectorSchema(dim=2)
    bodies = [np.array([i, 1], "<f4").tobytes() for i in range(20_000)]
    began = time.process_time()
    for records in (bodies, [{"v": body} for body in bodies], [{"v": [i, 1]} for i in range(20_000)]):
        np.testing.assert_array_equal(vector.coerce(record_samples(records, vector))[-1], [19_999, 1])
    assert time.process_time() - began < 1.5
