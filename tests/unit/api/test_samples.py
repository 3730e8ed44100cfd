"""The same data in any library's types give the same scores."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from PIL import Image

import driftwatch
from driftwatch.api.samples import samples
from driftwatch.data.readers import CHUNK_ROWS
from driftwatch.data.schema import VectorSchema
from driftwatch.locations import RemotePath
from tests.people import rows
from tests.synthetic import waves

FRAME = rows(100, seed=1)
ROWS = FRAME[:1].to_dict("records")
IMAGES = waves(30, seed=1)


def in_csv(folder: Path) -> str:
    FRAME.to_csv(folder / "rows.csv", index=False)
    return str(folder / "rows.csv")


def in_url(folder: Path) -> str:
    FRAME.to_parquet(folder / "rows.parquet")
    RemotePath(f"memory://{folder.name}/rows.parquet").upload(folder / "rows.parquet")
    return f"memory://{folder.name}/rows.parquet"


TABLES: dict[str, Callable[[Path], Any]] = {
    "pandas with an index": lambda _: FRAME.set_axis([f"row {i}" for i in FRAME.index]),
    "pandas with categories": lambda _: FRAME.astype({"town": "category"}),
    "pandas with more columns, in another order": lambda _: FRAME.assign(other="x")[["town", "other", "income", "age"]],
    "polars": lambda _: pl.from_pandas(FRAME),
    "polars with categories": lambda _: pl.from_pandas(FRAME).with_columns(pl.col("town").cast(pl.Categorical)),
    "Arrow table": lambda _: pa.Table.from_pandas(FRAME),
    "Arrow batch": lambda _: pa.RecordBatch.from_pandas(FRAME),
    "rows": lambda _: FRAME.to_dict("records"),
    "columns of lists": lambda _: {"id": ["x"] * len(FRAME), **FRAME.to_dict("list")},
    "columns of pandas": lambda _: dict(FRAME.items()),
    "columns of arrays": lambda _: {name: FRAME[name].to_numpy() for name in FRAME},
    "records, in another order": lambda _: FRAME[["income", "town", "age"]].to_records(),
    "path": lambda folder: Path(in_csv(folder)),
    "text of a path": in_csv,
    "URL": in_url,
}

ARRAYS: dict[str, Callable[[], Any]] = {
    "uint8": lambda: IMAGES.astype(np.uint8),
    "channels last": lambda: IMAGES.transpose(0, 2, 3, 1),
    "flat": lambda: IMAGES.reshape(len(IMAGES), -1),
    "torch": lambda: torch.from_numpy(IMAGES).requires_grad_(),
    "torch bfloat16": lambda: torch.from_numpy(IMAGES).to(torch.bfloat16),
    "list of arrays": lambda: list(IMAGES),
    "list of tensors": lambda: list(torch.from_numpy(IMAGES).requires_grad_()),
    "lists of numbers": lambda: IMAGES.reshape(len(IMAGES), -1).tolist(),
    "list of pictures": lambda: [Image.fromarray(image[0].astype(np.uint8)) for image in IMAGES],
    "pandas": lambda: pd.DataFrame(IMAGES.reshape(len(IMAGES), -1)).rename(columns=str),
    "polars": lambda: pl.DataFrame(IMAGES.reshape(len(IMAGES), -1)),
    "negated view": lambda: torch._neg_view(torch.from_numpy(-IMAGES)),
    "nothing masked": lambda: np.ma.masked_array(IMAGES, mask=np.zeros(IMAGES.shape)),
    "column of pandas": lambda: pd.Series(list(IMAGES)),
    "column of polars": lambda: pl.Series(IMAGES.reshape(len(IMAGES), -1).tolist()),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_may_be_of_any_type(people: driftwatch.Reference, kind: str, tmp_path: Path) -> None:
    found, expected = people.score(TABLES[kind](tmp_path)), people.score(FRAME)
    for name, column in expected.to_dict().items():
        np.testing.assert_allclose(found.to_dict()[name], column, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("kind", ARRAYS)
def test_images_may_be_of_any_type(pictures: driftwatch.Reference, kind: str) -> None:
    np.testing.assert_array_equal(pictures.score(ARRAYS[kind]()).score, pictures.score(IMAGES).score)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (object(), r"^data: is of type object \(give an array or tensor, a list of them"),
        ([], r"^data: is of type list"),
        ([[1.0], [2.0, 3.0]], r"^data: cannot be read: all input arrays must have the same shape"),
        (["a", "b"], r"^data: is of type list"),
        (FRAME["age"], r"^data, rows from 0: has shape"),
        (pd.Series([[1.0], [2.0, 3.0]]), r"^data: cannot be read: "),
        (FRAME.drop(columns="age"), r"^data, rows from 0: column 'age' is missing"),
        ([{"age": 31}], r"^data, rows from 0: column 'income' is missing, and 1 more \(expected columns age"),
        ([{"other": 31}], r"^data, rows from 0: column 'age' is missing, and 2 more"),
        ([*ROWS, {"age": 31}], r"^data: row 1 lacks 'income', and 1 more \(every row has every column"),
        ([{"age": 31}, *ROWS], r"^data: row 0 lacks 'income', and 1 more"),
        (FRAME.assign(age="old"), r"^data, row 0, column age: holds 'old' \(expected a number\)"),
        (FRAME[:2].assign(age=[1, "old"]), r"^data, row 1, column age: holds 'old' \(expected a number\)"),
        (FRAME[:1].assign(town=[{"name": "Ulm"}]), r"^data, rows from 0, column town: is of type struct"),
        (FRAME[:2].assign(town=["Ulm", {"Ulm"}]), r"^data: column town: row 1 holds set \(expected numbers, booleans"),
        (pd.concat([FRAME, FRAME[["age"]]], axis=1), r"^data, rows from 0: column 'age' is there 2 times \(rename one"),
        (
            {"age": [1, 2], "income": [1], "town": ["Ulm"]},
            r"^data: cannot be read: Column 1 named income expected length",
        ),
        (FRAME.rename(columns={"age": "Age"}), r"^data, rows from 0: column 'age' is missing \(is it 'Age'\? "),
        (FRAME.rename(columns={"age": "Age"}).to_dict("records"), r"column 'age' is missing \(is it 'Age'\? "),
        (np.float64(1.0), r"^data: is a single value"),
        (torch.tensor(1.0), r"^data: is a single value"),
        (FRAME[:0], r"^data, rows from 0: holds no samples"),
        (np.ones((5, 2)), r"^data, rows from 0: has shape \(5, 2\) \(expected \(N, 3\)\)"),
        (FRAME[:2].assign(age=[1, 10**400]), r"^data: cannot be read: int too large"),
        (memoryview(np.ones((5, 3))), r"^data: cannot be read: multi-dimensional"),
        ("none.csv", r"^none.csv: no such file"),
    ],
    ids=[
        "object",
        "empty list",
        "list of two lengths",
        "list of texts",
        "one column",
        "lists of two lengths",
        "column",
        "a row without columns",
        "a row of another table",
        "a later row without columns",
        "an earlier row without columns",
        "text",
        "mixed",
        "mapping",
        "mixed with a set",
        "column twice",
        "columns of two lengths",
        "another name",
        "another name in rows",
        "number",
        "tensor of a number",
        "no rows",
        "shape",
        "beyond any float",
        "memory",
        "path",
    ],
)
def test_data_that_do_not_fit_are_reported_in_one_line(people: driftwatch.Reference, data: Any, message: str) -> None:
    with pytest.raises(driftwatch.DriftwatchError, match=message):
        people.score(data)


@pytest.mark.parametrize("row", [ROWS[0], {**ROWS[0], "id": "x"}, FRAME.iloc[0], FRAME.assign(id="x").iloc[0]])
def test_a_single_row_needs_no_list(people: driftwatch.Reference, row: Any) -> None:
    assert people.score(row).score == people.score(ROWS).score


def test_missing_columns_of_a_row_are_none_and_additional_ones_are_ignored(people: driftwatch.Reference) -> None:
    plain, nulls = people.score(ROWS), people.score([*ROWS, {**ROWS[0], "age": None, "more": 1}])
    assert plain.score[0] == nulls.score[0] != nulls.score[1]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("column", ["age", "town"])
def test_missing_values_may_be_of_any_kind(people: driftwatch.Reference, column: str, missing: Any) -> None:
    expected = people.score(FRAME.assign(**{column: FRAME[column].where(FRAME.index > 2)})).score
    objects = FRAME.astype(object)
    objects.loc[:2, column] = missing
    for data in (objects, objects.to_dict("records"), objects.to_dict("list"), objects.to_numpy()):
        np.testing.assert_allclose(people.score(data).score, expected, rtol=1e-9)


@pytest.mark.parametrize("of", [list, tuple, lambda masked: masked])
def test_what_is_under_a_mask_is_no_measurement(pictures: driftwatch.Reference, of: Callable[[Any], Any]) -> None:
    masked = np.ma.masked_array(IMAGES, mask=np.arange(len(IMAGES))[:, None, None, None] == 2 * np.ones((1, 1, 8, 8)))
    with pytest.raises(driftwatch.DriftwatchError, match=r"^data, sample 2: holds null"):
        pictures.score(of(masked))


def test_masked_cells_are_missing(people: driftwatch.Reference) -> None:
    hidden = np.arange(len(FRAME)) < 3
    expected = people.score(FRAME.assign(age=FRAME.age.where(~hidden), town=FRAME.town.where(~hidden))).score
    cells = np.stack([hidden, np.zeros(len(FRAME)), hidden], axis=1)
    columns = {name: np.ma.masked_array(FRAME[name].to_numpy(), mask=cells[:, j]) for j, name in enumerate(FRAME)}
    for data in (np.ma.masked_array(FRAME.to_numpy(), mask=cells), columns):
        np.testing.assert_array_equal(people.score(data).score, expected)


def test_a_column_of_mixed_types_is_read_value_by_value(people: driftwatch.Reference) -> None:
    mixed = FRAME.astype(object)
    mixed.loc[0, "age"], mixed.loc[1, "age"] = str(FRAME.age[0]), Decimal(str(FRAME.age[1]))
    mixed.loc[0, "town"] = 7
    one_type = FRAME.assign(town=FRAME.town.where(FRAME.index > 0, "7"))
    for data in (mixed, mixed.to_dict("records"), mixed.to_dict("list")):
        np.testing.assert_allclose(people.score(data).score, people.score(one_type).score, rtol=1e-9)


def test_columns_outside_the_schema_may_hold_anything(people: driftwatch.Reference) -> None:
    more = FRAME.assign(more=[{1}, "a", *[3j] * (len(FRAME) - 2)])
    for data in (more, more.to_dict("records"), more.to_dict("list"), more.iloc[0]):
        assert people.score(data).score[0] == people.score(FRAME).score[0]


def test_a_long_array_is_reported_with_the_rows_that_do_not_fit(pictures: driftwatch.Reference) -> None:
    images = np.concatenate([waves(2_100, seed=1), np.full((1, 1, 8, 8), 300.0)])
    with pytest.raises(driftwatch.DriftwatchError, match=r"data, rows from 2048: values lie in"):
        pictures.score(images)


def test_one_long_vector_is_one_sample() -> None:
    schema = VectorSchema(dim=CHUNK_ROWS + 5)
    (found,) = samples(np.arange(schema.dim), schema)
    np.testing.assert_array_equal(found, [np.arange(schema.dim)])


def test_intervals_are_categories_named_by_their_text(people: driftwatch.Reference) -> None:
    towns = pd.cut(pd.Series([1.0, 2.0, 9.0, None] * 25), [0.0, 1.5, 5.0])
    names = [None if pd.isna(town) else str(town) for town in towns]
    np.testing.assert_array_equal(
        people.score(FRAME.assign(town=towns)).score, people.score(FRAME.assign(town=names)).score
    )


def test_a_column_of_vectors_in_a_frame_is_refused_with_the_remedy(pictures: driftwatch.Reference) -> None:
    frame = pd.DataFrame({"id": range(len(IMAGES)), "pixels": list(IMAGES.reshape(len(IMAGES), -1).astype(float))})
    with pytest.raises(driftwatch.DriftwatchError, match=r"^data: column 'pixels' is .* alone: frame\['pixels'\]\)$"):
        pictures.score(frame)
    np.testing.assert_array_equal(pictures.score(frame["pixels"]).score, pictures.score(IMAGES).score)


def test_a_frame_of_texts_is_not_an_image(pictures: driftwatch.Reference) -> None:
    with pytest.raises(driftwatch.DriftwatchError, match="data: holds no numbers"):
        pictures.score(FRAME)
