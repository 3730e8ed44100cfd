"""Columns that a reference cannot learn are sent nevertheless: a model's traffic has them too."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from driftwatch.data.codecs import decode, encode
from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import Column, TableSchema
from driftwatch.data.sent_tables import rows_to_send
from driftwatch.data.table_files import TableDataset
from driftwatch.errors import DataError

FORMATS = ["json", "rows", "v2", "arrow"]
COUNT = 150


def visits() -> pa.Table:
    first = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    return pa.table(
        {
            "visit": [first + dt.timedelta(hours=i) for i in range(COUNT)],
            "note": [f"patient {i} came" for i in range(COUNT)],
            "age": pa.array([None if i % 7 == 0 else i for i in range(COUNT)], pa.int64()),
            "paid": [Decimal(i) / 4 for i in range(COUNT)],
            "new": [i % 2 == 0 for i in range(COUNT)],
            "town": [("Ulm", "Bonn", None)[i % 3] for i in range(COUNT)],
            "tags": [["a", "b"]] * COUNT,
        }
    )


LEARNED = TableSchema(
    columns=(
        Column(name="age", kind="numeric"),
        Column(name="paid", kind="numeric"),
        Column(name="new", kind="category", categories=("false", "true")),
        Column(name="town", kind="category", categories=("Bonn", "Ulm")),
    )
)


def table_of(place: Path) -> TableDataset:
    dataset = open_dataset(place)
    assert isinstance(dataset, TableDataset)
    return dataset


@pytest.mark.parametrize("format", FORMATS)
def test_messages_hold_the_same_values_as_the_file(format: str, tmp_path: Path) -> None:  # noqa: A002
    pa_parquet.write_table(visits(), tmp_path / "visits.parquet", row_group_size=40)
    start = 0
    for batch, schema in rows_to_send(table_of(tmp_path / "visits.parquet"), 64, 0):
        value, headers = encode(batch, schema, format)
        found = decode(value, headers, LEARNED)
        expected = LEARNED.coerce(visits().slice(start, 64).select([column.name for column in LEARNED.columns]))
        assert found.tobytes() == expected.tobytes()
        start += len(found)
    assert start == COUNT


def test_dates_and_free_texts_are_sent_and_lists_are_not(tmp_path: Path) -> None:
    pa_parquet.write_table(visits(), tmp_path / "visits.parquet")
    batch, schema = next(rows_to_send(table_of(tmp_path / "visits.parquet"), 10, 5))
    row = orjson.loads(encode(batch, schema, "rows")[0])[0]
    assert row["visit"].startswith("2026-02-01 05:00")
    assert row["note"] == "patient 5 came"
    assert "tags" not in row


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("age,town,age\n1,Ulm,2\n", "a.csv: column age: occurs several times (rename it)"),
        ("age\n1\n2\n1e300\n", "a.csv, row 2: holds 1e+300 in column 'age' (send null"),
        ("age,town\n1,K\xf6ln\n", "a.csv: column town: is no text in UTF-8 (save it as UTF-8)"),
        ("age,town\n1\n", "a.csv, line 2: has 1 value, not 2"),
    ],
)
def test_tables_that_cannot_be_sent_are_reported(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=re.escape(message)):
        list(rows_to_send(table_of(tmp_path / "a.csv"), 2, 0))


def test_a_column_of_bytes_that_are_not_texts_is_left_out_of_all_batches(tmp_path: Path) -> None:
    table = pa.table({"age": [1, 2], "photo": [b"\xff\xd8", b"\xff\xd8"]})
    pa_parquet.write_table(table, tmp_path / "a.parquet")
    assert [schema.shape for _, schema in rows_to_send(table_of(tmp_path / "a.parquet"), 1, 0)] == [(1,), (1,)]
    table = pa.table({"age": [1, 2], "photo": [b"a", b"\xff\xd8"]})
    pa_parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column photo: is not of the same type in all parts"):
        list(rows_to_send(table_of(tmp_path / "a.parquet"), 1, 0))


def test_files_with_different_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("age,town\n1,Ulm\n")
    (tmp_path / "b.csv").write_text("age,town\nold,Bonn\n")
    with pytest.raises(DataError, match="column age: is not of the same type in all parts"):
        list(rows_to_send(table_of(tmp_path), 10, 0))
    (tmp_path / "b.csv").write_text("town\nBonn\n")
    with pytest.raises(DataError, match="column age: is in the first part of the table, and missing from another"):
        list(rows_to_send(table_of(tmp_path), 10, 0))


def test_keys_in_folder_names_are_sent(tmp_path: Path) -> None:
    for region in ("eu", "us"):
        (tmp_path / f"region={region}").mkdir()
        (tmp_path / f"region={region}" / "part.csv").write_text("age\n1\n")
    batch, schema = next(rows_to_send(table_of(tmp_path), 10, 0))
    assert orjson.loads(encode(batch, schema, "rows")[0]) == [
        {"age": 1.0, "region": "eu"},
        {"age": 1.0, "region": "us"},
    ]
