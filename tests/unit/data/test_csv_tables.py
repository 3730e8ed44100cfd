"""CSV files: the types of their columns, and errors about them."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from driftwatch.data import csv_lines, csv_tables
from driftwatch.data.csv_lines import BLOCK_BYTES
from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import TableSchema
from driftwatch.errors import DataError


@pytest.mark.parametrize(
    ("early", "late", "kind", "codes"),
    [
        ("1", "0.5", "numeric", [1, 0.5]),
        ("", "7", "numeric", [np.nan, 7]),
        ("", "Ulm", "category", [np.nan, 0]),
        ("1", "Ulm", "category", [0, 1]),
        ("true", "maybe", "category", [1, 0]),
    ],
)
def test_the_type_of_a_csv_column_depends_on_all_its_rows(
    tmp_path: Path, early: str, late: str, kind: str, codes: list[float]
) -> None:
    path, padding, rows = tmp_path / "late.csv", "x" * 1024, 2 * BLOCK_BYTES // 1024
    path.write_text("pad,value\n" + f"{padding},{early}\n" * rows + f"{padding},{late}\n")
    dataset = open_dataset(path)
    schema = dataset.infer_schema()
    assert isinstance(schema, TableSchema)
    assert (schema.columns[1].kind, dataset.rows) == (kind, rows + 1)
    values = np.concatenate(list(dataset.chunks(schema)))[:, 1]
    np.testing.assert_array_equal(values[[0, rows - 1, rows]], [codes[0], *codes])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty (the first line names the columns)"),
        (b"a,b\n", "has no rows"),
        (b"a,b", "has no rows"),
        (b"\n\n", "is empty"),
        (
            b"a,b\n" + b"1,2\n" * BLOCK_BYTES + b"1,2,3\n",
            "a.csv, line 1048578: has 3 values, not 2: '1,2,3' (the first line names the columns, and every row has as",
        ),
        (
            b"a,b\n\n1,2\n1\n1,2\nK\xf6ln,2,3\n",
            "a.csv, line 4: has 1 value, not 2: '1'; 2 of 4 rows are like this (",
        ),
        (b'a,b\n1,"x\n' + b"1,x\n" * BLOCK_BYTES, "a.csv, line 2: has a quote that is not closed: '1,\"x' ("),
        (
            b"a,b\n" + b"1\n" * 1_000,
            "a.csv, line 2: has 1 value, not 2: '1'; 1,000 of the first 1,000 rows are like this (",
        ),
        (b'a,"b\n1,2\n', "a.csv, line 1: has a quote that is not closed: 'a,\"b' (it must name the columns)"),
        (b"a,b\n1,2,\n1,3,\n", "a.csv, line 2: has 3 values, not 2: '1,2,'; 2 of 2 rows are like this ("),
        (
            gzip.compress(b"a,b\n1,2\n", mtime=0),
            "a.csv: is gzip (.csv.gz), whatever its name says (name it accordingly)",
        ),
        ("a,b\n1,2\n".encode("utf-16"), "a.csv: is UTF-16, whatever its name says (save it as CSV in UTF-8)"),
        ("a,b\n1,2\n".encode("utf-16-be"), "a.csv: is UTF-16, whatever its name says (save it as CSV in UTF-8)"),
        (
            b"a\n" + b"x" * 3 * BLOCK_BYTES,
            "a.csv, line 2: has a line of more than 1 MiB (is it CSV, with one row per line?)",
        ),
        (
            "town\nUlm\nK\xf6ln\n".encode("latin-1"),
            "a.csv, row 1, column town: holds b'K\\xf6ln' (expected texts in UTF-8)",
        ),
        ("gr\xf6\xdfe\n1\n".encode("latin-1"), "(save it as UTF-8)"),
        (
            b"age;bmi\r\n3;21,5\r\n",
            "has one column, 'age;bmi' (is the separator ';'? Save it with commas, and points in its numbers)",
        ),
        (b"\nage;bmi\n3;21,5\n", "has one column, 'age;bmi' (is the separator ';'?"),
        (b"age, years;bmi;town\n3,5;21,5;Ulm\n", "has 2 columns, 'age, years;bmi;town' (is the separator ';'?"),
        (b"age\tbmi\n3\t21.5\n", r"has one column, 'age\tbmi' (is the separator '\t'?"),
        (b";".join([b"column"] * 100) + b"\n" + b";" * 99 + b"\n", "column;colu...' (is the separator ';'?"),
    ],
)
def test_errors_in_csv_files_are_reported(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=re.escape(message)):
        open_dataset(tmp_path / "a.csv").infer_schema()


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("header", [b'"age\r\nin years",town', b'\r\n"age\r\nin years",town'])
def test_a_header_of_several_lines_is_read_behind_the_mark_that_excel_writes(
    tmp_path: Path, name: str, header: bytes
) -> None:
    content = b"\xef\xbb\xbf" + header + b"\r\n1,2\r\n3,4\r\n"
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    schema = open_dataset(tmp_path / name).infer_schema()
    assert isinstance(schema, TableSchema)
    assert [column.name for column in schema.columns] == ["age\r\nin years", "town"]


def test_a_truncated_compressed_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 1_000)[:-10])
    with pytest.raises(DataError, match=r"a\.csv\.gz: cannot be read: Truncated .* \(is the file complete\?\)"):
        open_dataset(tmp_path / "a.csv.gz")


def test_a_single_column_of_texts_is_not_taken_for_a_wrong_separator(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("said;or not\nyes\nno\n")
    assert open_dataset(tmp_path / "a.csv").infer_schema().shape == (1,)
    (tmp_path / "a.csv").write_text('a,b;c\n1,"x, y; z"\n')
    assert open_dataset(tmp_path / "a.csv").infer_schema().shape == (2,)


def test_a_category_does_not_depend_on_the_other_values_of_its_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "ward,smoker,shift,rank\n007,TRUE,08:00,1\nA1,FALSE,night,2\n,UNKNOWN,2026-01-02,top\n"
    )
    schema = open_dataset(tmp_path / "a.csv").infer_schema()
    expected = next(open_dataset(tmp_path / "a.csv").chunks(schema))
    for number, line in enumerate(("007,TRUE,08:00,1", "A1,FALSE,night,2", "NA,UNKNOWN,2026-01-02,top")):
        (tmp_path / "b.csv").write_text(f"ward,smoker,shift,rank\n{line}\n")
        np.testing.assert_array_equal(next(open_dataset(tmp_path / "b.csv").chunks(schema)), expected[[number]])
    messages = [
        {"ward": "007", "smoker": True, "shift": "08:00", "rank": 1},
        {"ward": "A1", "smoker": False, "shift": "night", "rank": 2.0},
    ]
    np.testing.assert_array_equal(schema.coerce(messages), expected[:2])
    (tmp_path / "b.csv").write_text("ward,smoker,shift,rank\n7,True,8:00,1.0\n")
    np.testing.assert_array_equal(next(open_dataset(tmp_path / "b.csv").chunks(schema)), [[2, 1, 3, 0]])


def test_truth_values_are_equal_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("new\nTrue\nFalse\n")
    schema = open_dataset(tmp_path / "a.csv").infer_schema()
    assert [column.categories for column in schema.columns] == [("false", "true")]
    (tmp_path / "b.csv").write_text("new\nTRUE\nfalse\nTrue\nmaybe\n")
    np.testing.assert_array_equal(next(open_dataset(tmp_path / "b.csv").chunks(schema)), [[1], [0], [1], [2]])


def test_a_csv_file_that_changes_while_it_is_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    dataset = open_dataset(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("a\nx\n")
    with pytest.raises(DataError, match=r"conversion error .* \(did the file change while it was read\?\)"):
        dataset.infer_schema()
    (tmp_path / "a.csv").write_text("a\n1\n2\n")
    with pytest.raises(DataError, match=r"a\.csv: holds 2 rows instead of 1 \(is the file complete, or"):
        dataset.infer_schema()


def test_blocks_may_end_anywhere_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a,b\r\n" + "".join(f"{row},{'x' * (row % 7)}\r\n" for row in range(50)) + "0.5,y"
    for size in range(16, 40):
        monkeypatch.setattr(csv_lines, "BLOCK_BYTES", size)
        found = csv_tables.find_types(io.BytesIO(text.encode()), "a.csv")
        assert (found.schema.types, found.rows) == ([pa.float64(), pa.string()], 51)


def test_quoted_values_may_contain_line_breaks_at_the_ends_of_blocks(tmp_path: Path) -> None:
    rows = 3 * BLOCK_BYTES // 30
    (tmp_path / "a.csv").write_text("n,note\n" + '1,"in Köln, ""here"",\n\nor there"\n' * rows)
    dataset = open_dataset(tmp_path / "a.csv")
    schema = dataset.infer_schema()
    assert isinstance(schema, TableSchema)
    assert schema.columns[1].categories == ('in Köln, "here",\n\nor there',)
    assert sum(map(len, dataset.chunks(schema))) == dataset.rows == rows


def test_inferring_types_does_not_load_a_csv_file_into_memory() -> None:
    before, held = pa.total_allocated_bytes(), []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            held.append(pa.total_allocated_bytes() - before)
            return super().read(size)

    csv_tables.find_types(Watched(b"x\n" + b"0.123456\n" * BLOCK_BYTES), "long.csv")
    assert len(held) > 8
    assert max(held) < 2 * BLOCK_BYTES
