"""Samples of every kind, in any shape in which they arrive, and the errors about those that do not fit."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import Column, ImageSchema, TableSchema, VectorSchema, digests, parse_schema
from driftwatch.errors import DataError, MessageError

GREY = ImageSchema(channels=1, height=4, width=5)
COLOUR = ImageSchema(channels=3, height=4, width=5)
VECTOR = VectorSchema(dim=3)
TABLE = TableSchema(
    columns=(
        Column(name="age", kind="numeric"),
        Column(name="town", kind="category", categories=("Bonn", "Ulm")),
    )
)


def ramp(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape)


@pytest.mark.parametrize("shape", [(2, 1, 4, 5), (2, 4, 5, 1), (2, 4, 5), (2, 20)])
def test_grey_images_may_have_several_shapes(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(GREY.coerce(ramp(*shape)), ramp(2, 1, 4, 5))


@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5), (4, 5, 1), (20,)])
def test_a_single_grey_image_may_have_several_shapes(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(GREY.coerce(ramp(*shape)), ramp(1, 1, 4, 5))


def test_channels_last_are_moved_to_the_front() -> None:
    images = ramp(2, 3, 4, 5) % 256
    np.testing.assert_array_equal(COLOUR.coerce(images.transpose(0, 2, 3, 1)), images)


def test_float_images_slightly_out_of_range_are_drift_and_not_errors() -> None:
    schema = ImageSchema(channels=1, height=4, width=5, dtype="float32", low=0.0, high=1.0)
    brighter = np.full((1, 4, 5), 1.9)
    assert float(schema.coerce(brighter).max()) == pytest.approx(1.9)
    with pytest.raises(MessageError, match=r"values lie in \[190, 190\].*expected \[0, 1\]"):
        schema.coerce(brighter * 100)


def test_lists_are_read_as_arrays() -> None:
    np.testing.assert_array_equal(GREY.coerce(ramp(2, 4, 5).tolist()), ramp(2, 1, 4, 5))


@pytest.mark.parametrize(
    ("schema", "value", "reason", "message"),
    [
        (GREY, ramp(2, 3, 3), "shape", r"has shape \(2, 3, 3\).*expected \(N, 1, 4, 5\)"),
        (GREY, ramp(2, 4, 5) + 250, "schema", r"values lie in \[250, 289\].*expected \[0, 255\]"),
        (GREY, ramp(2, 4, 5) / 100, "schema", r"whole numbers.*multiply by 255\?"),
        (GREY, np.full((1, 4, 5), np.nan), "non_finite", "sample 0 holds null, NaN"),
        (GREY, [[1, 2], [3]], "shape", "not all of one length"),
        (GREY, [["a"] * 5] * 4, "schema", "expected an array of numbers"),
        (GREY, np.empty((0, 4, 5)), "empty", "no samples"),
        (GREY, {"a": [1]}, "schema", "named columns"),
        (GREY, None, "shape", "has shape"),
        (VECTOR, [[1, 2]], "shape", r"expected \(N, 3\)"),
        (VECTOR, pa.table({"a": [1]}), "schema", "holds named columns"),
        (VECTOR, [[1, None, 2]], "non_finite", "null"),
        (VECTOR, [[1, np.inf, 2]], "non_finite", "infinite"),
        (TABLE, [{"age": 3}], "schema", "column 'town' is missing"),
        (TABLE, pa.table({"age": [3], "town": [b"K\xf6ln"]}), "schema", r"row 0 holds b'K\\xf6ln' \(expected texts in"),
        (TABLE, {"Age": 3, "TOWN": "Ulm"}, "schema", r"is it 'Age'\? expected .* not expected, but there: Age, TOWN\)"),
        (TABLE, pd.DataFrame({"age": [3], "Town ": ["Ulm"]}), "schema", r"'town' is missing \(is it 'Town '\?"),
        (TABLE, pa.table({"age;town": ["3;Ulm"]}), "schema", r"'age' is missing, and 1 more .* but there: age;town\)"),
        (TABLE, [{"x" * 1_000: 1}], "schema", r"\(expected columns age, town; not expected, but there: x{40}\)$"),
        (TABLE, [{f"x{i}": 1 for i in range(1_000)}], "schema", r"x11\.\.\.\)$"),
        (TABLE, [{"age": 3}, {}], "schema", "column 'town' is missing"),
        (TABLE, [{"age": 3, "town": "Ulm"}, {"age": 3}], "schema", "row 1 lacks 'town' .every row has every column"),
        (TABLE, [{}, {"age": 3, "town": None}], "schema", "row 0 lacks 'age', and 1 more"),
        (TABLE, [{"age": "old", "town": "Ulm"}], "schema", "column age: row 0 holds 'old'"),
        (TABLE, pa.table([[1], [2]], ["age", "age"]), "schema", r"'age' is there 2 times \(rename one of them\)"),
        (TABLE, [[1]], "shape", "expected 2"),
        (TABLE, {"age": [1, 2], "town": ["Ulm"]}, "shape", "differ in length"),
        (TABLE, [{"age": np.inf, "town": "Ulm"}], "non_finite", "column 'age'"),
        (
            TABLE,
            [{"age": 1, "town": "Ulm"}, {"age": -1e308, "town": "Ulm"}],
            "non_finite",
            r"row 1 holds -1e\+308 in col",
        ),
        (VECTOR, [[1, 2, 3], [1, 1.7e308, 2]], "non_finite", r"sample 1 holds 1\.7e\+308 \(every .* 1e\+100 at most\)"),
        (TABLE, [{"age": 1, "town": ["Ulm"]}], "schema", "column town: row 0 holds list"),
        (TABLE, 7, "schema", "no rows"),
    ],
)
def test_values_that_do_not_fit_are_reported(schema: Any, value: Any, reason: str, message: str) -> None:
    with pytest.raises(MessageError, match=message) as caught:
        schema.coerce(value)
    assert caught.value.reason == reason


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_texts_that_are_not_utf_8_are_reported(kind: pa.DataType) -> None:
    damaged = pa.array([b"Ulm", b"K\xf6ln"], pa.binary()).view(pa.string()).cast(kind)
    with pytest.raises(MessageError, match=r"column town: row 1 holds b'K\\xf6ln' \(expected texts in UTF-8\)"):
        TABLE.coerce(pa.table({"age": [1, 2], "town": damaged}))


@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.large_binary(), pa.string_view(), pa.binary_view(), pa.dictionary(pa.int8(), pa.binary())]
)
def test_texts_of_any_arrow_type_are_read(kind: pa.DataType) -> None:
    towns = pa.chunked_array([pa.array(["Ulm", None], pa.string()), pa.array(["Köln", "Bonn"], pa.string())])
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    column = towns.cast(plain) if plain == kind else towns.cast(plain).dictionary_encode()
    np.testing.assert_array_equal(
        TABLE.coerce(pa.table({"age": [1, 2, 3, 4], "town": column})), [[1, 1], [2, np.nan], [3, 2], [4, 0]]
    )


@pytest.mark.parametrize(
    "value",
    [
        [{"age": 3, "town": "Ulm", "more": 1}, {"age": None, "town": "Rome"}],
        {"age": [3, None], "town": ["Ulm", "Rome"]},
        pa.table({"town": ["Ulm", "Rome"], "age": [3.0, None]}),
        [[3, "Ulm"], [None, "Rome"]],
    ],
)
def test_rows_may_be_given_by_name_by_column_or_in_order(value: Any) -> None:
    np.testing.assert_array_equal(TABLE.coerce(value), [[3, 1], [np.nan, 2]])


def test_a_missing_category_is_missing_and_not_unseen() -> None:
    np.testing.assert_array_equal(TABLE.coerce([{"age": 1, "town": None}]), [[1, np.nan]])


@pytest.mark.parametrize("cell", [None, "", " ", "NA", b"NA", math.nan, np.float32("nan"), pd.NA, Decimal("nan")])
def test_every_way_to_write_a_missing_category_is_missing(cell: Any) -> None:
    np.testing.assert_array_equal(TABLE.coerce([{"age": 1, "town": cell}]), [[1, np.nan]])


@pytest.mark.parametrize("cell", [1, 1.0, "1", "1.0", np.True_, "TRUE", "true"])
def test_true_equals_one_in_a_column_of_truth_values(cell: Any) -> None:
    flags = TableSchema(columns=(Column(name="flag", kind="category", categories=("false", "true")),))
    assert flags.coerce([{"flag": cell}]).tolist() == [[1.0]]
    assert flags.coerce([{"flag": 0}, {"flag": 2}]).tolist() == [[0.0], [2.0]]
    always = TableSchema(columns=(Column(name="flag", kind="category", categories=("true",)),))
    assert always.coerce([{"flag": cell}, {"flag": 0}]).tolist() == [[0.0], [1.0]]
    answers = TableSchema(columns=(Column(name="flag", kind="category", categories=("false", "true", "unknown")),))
    assert answers.coerce([{"flag": 1}]).tolist() == [[3.0]]


@pytest.mark.parametrize("cell", [True, np.True_, "TRUE", "true", b"true"])
def test_one_is_true_where_a_column_knows_no_other_values(cell: Any) -> None:
    flags = TableSchema(columns=(Column(name="flag", kind="category", categories=("0", "1")),))
    assert flags.coerce([{"flag": cell}, {"flag": False}, {"flag": 2}]).tolist() == [[1.0], [0.0], [2.0]]
    counts = TableSchema(columns=(Column(name="count", kind="category", categories=("0", "1", "2")),))
    assert counts.coerce([{"count": True}, {"count": 1}]).tolist() == [[3.0], [1.0]]


def test_a_learned_category_stays_one_even_if_it_reads_as_missing(tmp_path: Path) -> None:
    schema = TableSchema(columns=(Column(name="country", kind="category", categories=("NA", "ZA")),))
    np.testing.assert_array_equal(schema.coerce([{"country": "NA"}, {"country": "NULL"}]), [[0], [np.nan]])
    (tmp_path / "a.csv").write_text("country\nNA\nZA\n")
    np.testing.assert_array_equal(next(open_dataset(tmp_path / "a.csv").chunks(schema)), [[0], [1]])


def test_in_an_array_of_numbers_a_category_is_its_index_or_that_of_unseen_ones() -> None:
    coded = np.array([[3.0, 0.0], [np.nan, 2.0], [1.0, np.nan]])
    np.testing.assert_array_equal(TABLE.coerce(coded), coded)
    for code in (3, -1, 0.5):
        with pytest.raises(
            MessageError, match=r"'town' holds numbers that are no index of a category \(expected 0 to 2"
        ):
            TABLE.coerce(np.array([[3.0, code]]))


@pytest.mark.parametrize("schema", [GREY, COLOUR, VECTOR, TABLE])
def test_a_schema_survives_json(schema: Any) -> None:
    assert parse_schema(schema.model_dump(mode="json")) == schema


def test_a_broken_schema_is_refused() -> None:
    with pytest.raises(DataError, match="channels"):
        parse_schema({"kind": "image", "channels": 0, "height": 1, "width": 1})


def test_rare_values_of_a_column_are_stored_as_digests() -> None:
    column = {"name": "town", "kind": "category", "categories": ["Bonn"], "others": [digests(["Ulm", "Hof", "Ulm"])]}
    table = parse_schema({"kind": "table", "columns": [column]})
    assert isinstance(table, TableSchema)
    np.testing.assert_array_equal(
        table.coerce({"town": ["Hof", "Ulm", "Bonn", "Rom", None]})[:, 0], [1, 1, 0, 2, np.nan]
    )
    np.testing.assert_array_equal(table.coerce(np.array([[2.0]])), [[2.0]])
    with pytest.raises(MessageError, match=r"expected 0 to 2"):
        table.coerce(np.array([[3.0]]))
    for others, kind in (
        (["AAAA"], "category"),
        (["no base64"], "category"),
        ([""], "category"),
        ([digests(["Ulm"])], "numeric"),
        ([digests(map(str, range(60_000)))] * 2, "category"),
    ):
        with pytest.raises(DataError, match="others"):
            parse_schema({"kind": "table", "columns": [{"name": "town", "kind": kind, "others": others}]})
