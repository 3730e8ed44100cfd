"""Which columns of a table can be learned, and as which kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from driftwatch.data.readers import open_dataset
from driftwatch.errors import DataError


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_numeric_columns_can_be_learned_as_categories(suffix: str, tmp_path: Path) -> None:
    codes = pd.DataFrame({"ward": [7, 12, 7, 3], "age": [31, 45, 31, 7], "id": range(4)})
    path = tmp_path / f"codes{suffix}"
    codes.to_csv(path, index=False) if suffix == ".csv" else codes.to_parquet(path)
    dataset = open_dataset(path, categories=["ward"])
    schema = dataset.infer_schema()
    assert [(column.kind, column.categories) for column in schema.columns] == [  # type: ignore[union-attr]
        ("category", ("12", "3", "7")),
        ("numeric", ()),
        ("numeric", ()),
    ]
    np.testing.assert_array_equal(next(dataset.chunks(schema))[:, 0], [2, 0, 2, 1])
    with pytest.raises(DataError, match=r"has no column 'wrad' \(is it 'ward'\?"):
        open_dataset(path, categories=["wrad"])
    many = pd.DataFrame({"ward": range(100)})
    many.to_csv(path, index=False) if suffix == ".csv" else many.to_parquet(path)
    with pytest.raises(DataError, match=r"column ward: has 100 .* \(leave it out of data.categories\)"):
        open_dataset(path, categories=["ward"]).infer_schema()


def test_all_columns_that_cannot_be_learned_are_reported_at_once(tmp_path: Path) -> None:
    rows = [f"2026-01-{1 + i % 28:02},customer {i},{i}" for i in range(100)]
    (tmp_path / "a.csv").write_text("\n".join(["day,note,age", *rows, ""]))
    message = r"column day is of type date32\[day\]; column note has 100 .*data.exclude: \[day, note\]"
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path / "a.csv").infer_schema()
    assert open_dataset(tmp_path / "a.csv", exclude=["day", "note"]).infer_schema().shape == (1,)


CATEGORIES_REMEDY = "or name it in data.categories if these are codes"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            [f"{i},5" for i in range(100)],
            rf"they are numbers with commas, like '0,5': save them with points, {CATEGORIES_REMEDY}",
        ),
        ([f"{i}.5" for i in range(100)], rf"all are numbers: save it as a column of numbers, {CATEGORIES_REMEDY}"),
        (
            [*map(str, range(100)), "old"],
            rf"nearly all are numbers, but not 'old': correct those, or leave .*, {CATEGORIES_REMEDY}",
        ),
        ([f"2026-0{1 + i // 28}-{1 + i % 28:02}" for i in range(100)], rf"leave it out .*, {CATEGORIES_REMEDY}"),
        ([f"{i // 60:02}:{i % 60:02}" for i in range(100)], rf"leave it out .*, {CATEGORIES_REMEDY}"),
    ],
)
def test_texts_that_are_not_categories_are_reported_with_the_remedy(
    texts: list[str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    pa_parquet.write_table(pa.table({"age": texts * 3}), path)
    with pytest.raises(DataError, match=rf"column age: has 10[01] different .* \({message}\)"):
        open_dataset(path).infer_schema()
    # Users can override this.
    assert open_dataset(path, categories=["age"]).infer_schema().columns[0].kind == "category"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "texts",
    [
        [f"customer {i}" for i in range(100)],
        [f"{i:05}" for i in range(100)],
        [*(f"{i}.1" for i in range(40)), *(f"E{i}" for i in range(60))],
    ],
    ids=["names", "codes of digits", "codes of letters and digits"],
)
def test_texts_that_occur_repeatedly_are_categories_however_many_there_are(texts: list[str], tmp_path: Path) -> None:
    pa_parquet.write_table(pa.table({"code": texts * 2}), tmp_path / "a.parquet")
    (column,) = open_dataset(tmp_path / "a.parquet").infer_schema().columns  # type: ignore[union-attr]
    assert column.categories == tuple(sorted(texts))
    pa_parquet.write_table(pa.table({"code": [*texts, None] * 2}).slice(0, 150), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="has 100 different texts in 149 rows"):
        open_dataset(tmp_path / "b.parquet").infer_schema()


def test_more_texts_than_can_be_remembered_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftwatch.data.table_files.MOST_KNOWN", 150)
    pa_parquet.write_table(pa.table({"code": [f"c{i % 200}" for i in range(1_000)]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"has more than 150 different texts \(leave it out .*, or group them\)"):
        open_dataset(tmp_path / "a.parquet").infer_schema()
