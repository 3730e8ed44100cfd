"""Training from Python, on data in memory and in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import driftwatch
from driftwatch.errors import ConfigError
from tests.people import SETTINGS, rows


def test_data_in_memory_and_in_files_give_the_same_reference(
    table_bundle: Path, people: driftwatch.Reference, tmp_path: Path
) -> None:
    for part in (0, 1):
        rows(2_000, seed=0)[1_000 * part : 1_000 * (part + 1)].to_parquet(tmp_path / f"{part}.parquet")
    messages: list[str] = []
    paths = [str(tmp_path / "0.parquet"), tmp_path / "1.parquet"]
    again = driftwatch.train(paths, tmp_path / "again", name="mine", settings=SETTINGS, say=messages.append)
    assert again.version == people.version == driftwatch.load(table_bundle).version
    assert messages[0].startswith("2,000 samples, each a table row of 3 columns")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.parquet", "1.parquet", "again"]
    with pytest.raises(driftwatch.DriftwatchError, match="again: exists already"):
        driftwatch.train(rows(2_000, seed=0), tmp_path / "again", settings=SETTINGS)
    chosen = driftwatch.train(
        rows(2_000, seed=0), tmp_path / "again", columns=["age", "income"], settings=SETTINGS, overwrite=True
    )
    assert chosen.schema.shape == (2,)
    visits = rows(2_000, seed=0).assign(visit=pd.Timestamp(0))
    without_visits = driftwatch.train(visits, tmp_path / "left", exclude=["visit"], settings=SETTINGS)
    assert without_visits.schema == people.schema


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            rows(2_000, seed=0).assign(visit=pd.Timestamp(0)),
            r"^data: column visit: is of type timestamp\[.s\] \(leave it out \(data.exclude, or data.columns",
        ),
        (rows(500, seed=0), r"^data: 500 samples are too few"),
        (np.full((2_000, 3), np.nan), r"^data, sample 0: holds null, NaN"),
    ],
)
def test_errors_about_data_in_memory_name_no_file(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(driftwatch.DriftwatchError, match=message):
        driftwatch.train(data, tmp_path / "out")


def test_invalid_settings_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^flow\.layer: unknown key \(did you mean 'layers'\?\)"):
        driftwatch.train(rows(2_000, seed=0), tmp_path / "out", settings={"flow": {"layer": 3}})
    with pytest.raises(ConfigError, match=r"^training\.minutes: should be greater than 0, got 0$"):
        driftwatch.train(rows(2_000, seed=0), tmp_path / "out", minutes=0)


@pytest.mark.parametrize("choice", [{"exclude": ["visit"]}, {"columns": ["age", "income", "town"]}])
def test_excluded_columns_may_hold_anything(
    people: driftwatch.Reference, choice: dict[str, list[str]], tmp_path: Path
) -> None:
    visits = rows(2_000, seed=0).assign(visit=[{1}, *["a"] * 1_999])
    with pytest.raises(driftwatch.DriftwatchError, match=r"^data: column visit: row 0 holds set"):
        driftwatch.train(visits, tmp_path / "all", settings=SETTINGS)
    left = driftwatch.train(visits, tmp_path / "mine", settings=SETTINGS, **choice)
    np.testing.assert_allclose(left.score(visits[:9]).score, people.score(visits[:9]).score, rtol=1e-9)


def test_a_column_of_numbers_and_texts_is_categorical(tmp_path: Path) -> None:
    codes = rows(2_000, seed=0).assign(code=[7, "B12", None, 7.0] * 500)
    learned = driftwatch.train(codes, tmp_path / "mine", settings=SETTINGS)
    assert learned.schema.columns[-1].categories == ("7", "B12")  # type: ignore[union-attr]


@pytest.mark.parametrize("as_category", [False, True])
def test_numbers_can_be_categories(as_category: bool, tmp_path: Path) -> None:
    plans = rows(2_000, seed=0).assign(plan=[10, 2, 7, 7] * 500)
    data, choice = (plans.astype({"plan": "category"}), {}) if as_category else (plans, {"categories": "plan"})
    learned = driftwatch.train(data, tmp_path / "mine", settings=SETTINGS, **choice)  # type: ignore[arg-type]
    assert learned.schema.columns[-1].categories == ("10", "2", "7")  # type: ignore[union-attr]
    new = plans[:100].assign(plan=8)
    assert "plan has values that the reference never had in 100 % of rows" in learned.test(new).explanation
    np.testing.assert_array_equal(learned.score(data[:9]).score, learned.score(plans[:9].astype({"plan": str})).score)


@pytest.mark.parametrize("choice", [{"exclude": "visit"}, {"columns": "visit"}])
def test_a_single_column_needs_no_list(choice: dict[str, str], tmp_path: Path) -> None:
    few = rows(100, seed=0).assign(visit=np.arange(100.0))
    with pytest.raises(driftwatch.DriftwatchError, match=r"^data: 100 samples are too few"):
        driftwatch.train(few, tmp_path / "out", **choice)


def test_all_training_rows_must_have_the_same_columns(tmp_path: Path) -> None:
    message = r"^data: row 2000 lacks 'town' \(every row has every column, and null or None where"
    with pytest.raises(driftwatch.DriftwatchError, match=message):
        driftwatch.train([*rows(2_000, seed=0).to_dict("records"), {"age": 1, "income": 2}], tmp_path / "out")
