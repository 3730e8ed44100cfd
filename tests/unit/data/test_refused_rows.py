"""A few bad rows are skipped and reported; data that are mostly bad are an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from driftwatch.data.readers import open_dataset
from driftwatch.data.refused_rows import TOLERATED, Refusals, RefusedRow
from driftwatch.data.schema import ImageSchema, Schema, VectorSchema, parse_schema
from driftwatch.errors import DataError

PEOPLE = parse_schema({"kind": "table", "columns": [{"name": "age", "kind": "numeric"}]})


def read(path: Path, schema: Schema, rows: int = 2_048) -> tuple[np.ndarray, list[RefusedRow], np.ndarray]:
    """The samples that can be read, the rows that cannot, and the indices of the samples."""
    refusals = Refusals()
    found = np.concatenate(list(open_dataset(path).chunks(schema, rows, refusals=refusals)))
    return found, refusals.rows, refusals.index_of(np.arange(len(found)))


@pytest.mark.parametrize("rows", [7, 2_048])
@pytest.mark.parametrize("bad", [[0], [499], [100, 101, 102, 300]])
def test_bad_cells_of_a_table_are_skipped(rows: int, bad: list[int], tmp_path: Path) -> None:
    cells = [f"old {i}" if i in bad else str(i) for i in range(500)]
    (tmp_path / "people.csv").write_text("\n".join(["age", *cells, ""]))
    found, refused, indices = read(tmp_path / "people.csv", PEOPLE, rows)
    assert found[:, 0].tolist() == indices.tolist() == [i for i in range(500) if i not in bad]
    assert [row.index for row in refused] == bad
    assert str(refused[0]) == f"index {bad[0]}, column age: holds 'old {bad[0]}' (expected a number)"


@pytest.mark.parametrize("rows", [7, 2_048])
def test_malformed_lines_are_skipped(rows: int, tmp_path: Path) -> None:
    lines = [f"{i},Ulm" for i in range(500)]
    lines[0], lines[20], lines[21] = "0", '20,"Ulm', "Köln,21,"
    lines[30], lines[499] = "old,Ulm", "499,Ulm,,"
    text = "\n".join(["age,town", "", *lines, ""])
    (tmp_path / "people.csv").write_bytes(text.encode("latin-1"))
    found, refused, indices = read(tmp_path / "people.csv", PEOPLE, rows)
    assert found[:, 0].tolist() == indices.tolist() == [i for i in range(500) if i not in (0, 20, 21, 30, 499)]
    assert list(map(str, refused)) == [
        "index 0, line 3: has 1 value, not 2: '0'",
        "index 20, line 23: has a quote that is not closed: '20,\"Ulm'",
        "index 21, line 24: has 3 values, not 2: 'K\ufffdln,21,'",
        "index 30, column age: holds 'old' (expected a number)",
        "index 499, line 502: has 4 values, not 2: '499,Ulm,,'",
    ]
    assert open_dataset(tmp_path / "people.csv").rows == 500
    for start in (0, 21, 22, 400):
        rest = np.concatenate(list(open_dataset(tmp_path / "people.csv").chunks(PEOPLE, rows, start, Refusals())))
        assert rest[:, 0].tolist() == [i for i in indices if i >= start]
    with pytest.raises(DataError, match=r"people.csv, line 3: has 1 value, not 2: '0'; 4 of 500 rows are like this \("):
        next(open_dataset(tmp_path / "people.csv").chunks(PEOPLE))


@pytest.mark.parametrize("rows", [7, 2_048])
def test_many_malformed_lines_are_skipped_if_most_rows_are_good(rows: int, tmp_path: Path) -> None:
    lines = [("1", "old,Ulm", f"{i},Ulm", f"{i},Ulm", f"{i},Ulm")[i % 5] for i in range(2_000)]
    (tmp_path / "people.csv").write_text("\n".join(["age,town", *lines, ""]))
    found, refused, indices = read(tmp_path / "people.csv", PEOPLE, rows)
    assert found[:, 0].tolist() == indices.tolist() == [i for i in range(2_000) if i % 5 > 1]
    assert [row.index for row in refused] == [i for i in range(2_000) if i % 5 < 2]
    lines = [("1", "old,Ulm", f"{i},Ulm")[i % 3] for i in range(2_000)]
    (tmp_path / "people.csv").write_text("\n".join(["age,town", *lines, ""]))
    with pytest.raises(DataError, match=r"people\.csv, line 2: has 1 value, not 2: '1'"):
        read(tmp_path / "people.csv", PEOPLE, rows)


def test_a_text_in_another_encoding_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes("age,town\n1,Ulm\n2,K\xf6ln\n3,\n".encode("latin-1"))
    town = {"name": "town", "kind": "category", "categories": ["Ulm"]}
    schema = parse_schema({"kind": "table", "columns": [{"name": "age", "kind": "numeric"}, town]})
    found, refused, _ = read(tmp_path / "people.csv", schema)
    np.testing.assert_array_equal(found, [[1, 0], [3, np.nan]])
    assert [str(row) for row in refused] == [
        r"index 1, column town: holds b'K\xf6ln' (expected texts in UTF-8)",
    ]


def test_bad_rows_in_several_files_are_located(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("age,town\n1,Ulm\n2\nold,Ulm\n3,Ulm\n")
    found, refused, indices = read(tmp_path, PEOPLE)
    assert (found[:, 0].tolist(), indices.tolist()) == ([1, 3, 1, 3], [0, 3, 4, 7])
    assert [(row.index, row.where) for row in refused] == [
        (1, f"{tmp_path / 'a.csv'}, line 3"),
        (2, f"{tmp_path / 'a.csv'}, column age"),
        (5, f"{tmp_path / 'b.csv'}, line 3"),
        (6, f"{tmp_path / 'b.csv'}, column age"),
    ]
    (tmp_path / "a.csv").write_text("age,town\n1,Ulm\n")
    (tmp_path / "b.csv").write_text("age,town\n1,Ulm\nold,Ulm\n")
    with pytest.raises(DataError, match=rf"^{tmp_path}, row 2 in {tmp_path}/b.csv, column age: holds 'old'"):
        list(open_dataset(tmp_path).chunks(PEOPLE))


def test_an_image_with_another_range_is_named(tmp_path: Path) -> None:
    for i in range(4):
        Image.fromarray(np.full((6, 6), 1e6 * (i == 2), np.float32)).save(tmp_path / f"{i}.tif")
    schema = ImageSchema(channels=1, height=6, width=6, dtype="float32", low=0.0, high=1.0)
    found, refused, _ = read(tmp_path, schema)
    assert len(found) == 3
    assert [(row.index, row.where) for row in refused] == [(2, str(tmp_path / "2.tif"))]


def test_bad_vectors_are_skipped(tmp_path: Path) -> None:
    vectors = np.arange(60.0).reshape(20, 3)
    vectors[7, 1] = np.nan
    np.save(tmp_path / "vectors.npy", vectors)
    found, refused, indices = read(tmp_path / "vectors.npy", VectorSchema(dim=3))
    assert (found[:, 0] / 3).tolist() == indices.tolist() == [i for i in range(20) if i != 7]
    assert [str(row) for row in refused] == [
        "index 7: holds null, NaN or an infinite value (every value must be finite, and 1e+100 at most)"
    ]


def test_bad_images_are_skipped(tmp_path: Path) -> None:
    for i in range(10):
        Image.fromarray(np.full((6, 6), i, np.uint8)).save(tmp_path / f"{i}.png")
    (tmp_path / "3.png").write_bytes((tmp_path / "3.png").read_bytes()[:50])
    Image.fromarray(np.zeros((6, 6, 3), np.uint8)).save(tmp_path / "4.png")
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(tmp_path / "9.png")
    found, refused, indices = read(tmp_path, ImageSchema(channels=1, height=6, width=6), 4)
    assert found[:, 0, 0, 0].tolist() == indices.tolist() == [0, 1, 2, 5, 6, 7, 8]
    assert [row.index for row in refused] == [3, 4, 9]
    assert "is in colour, and the others or the reference are grey" in str(refused[1])


def test_a_bad_first_image_is_skipped_too(tmp_path: Path) -> None:
    for i in range(5):
        Image.fromarray(np.full((6, 6), i, np.uint8)).save(tmp_path / f"{i}.png")
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(tmp_path / "1.png")
    (tmp_path / "0.png").write_bytes((tmp_path / "2.png").read_bytes()[:20])
    found, refused, _ = read(tmp_path, ImageSchema(channels=1, height=6, width=6))
    assert found[:, 0, 0, 0].tolist() == [2, 3, 4]
    assert [row.where for row in refused] == [str(tmp_path / name) for name in ("0.png", "1.png")]
    assert refused[1].reason == "is of 6x5 pixels, not of 6x6 pixels"
    (tmp_path / "0.png").unlink()
    assert len(read(tmp_path, ImageSchema(channels=1, height=6, width=6))[0]) == 3


@pytest.mark.parametrize("good", [0, TOLERATED // 2])
def test_data_of_another_kind_are_an_error(good: int, tmp_path: Path) -> None:
    cells = [str(i) for i in range(good)] + ["old"] * (TOLERATED + 1)
    (tmp_path / "people.csv").write_text("\n".join(["age", *cells, ""]))
    with pytest.raises(DataError, match=rf"people.csv, row {good}, column age: holds 'old'"):
        read(tmp_path / "people.csv", PEOPLE)


def test_a_few_rows_that_are_all_bad_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("age\nold\nolder\n")
    refusals = Refusals()
    with pytest.raises(DataError, match=r"people.csv, row 0, column age: holds 'old'"):
        list(open_dataset(tmp_path / "people.csv").chunks(PEOPLE, refusals=refusals))


def test_without_refusals_a_single_bad_row_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("age\n1\n2\n3\n4\nold\n6\n")
    with pytest.raises(DataError, match=r"people.csv, row 4, column age: holds 'old'"):
        list(open_dataset(tmp_path / "people.csv").chunks(PEOPLE, rows=3))
