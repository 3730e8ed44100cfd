"""In a long tail the commonest values are categories and the others classes; held-out rows resemble fresh ones."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import Column, TableSchema, digests
from driftwatch.reference.many_categories import LEAST_ROWS, OWN, Gathered, many
from driftwatch.reference.training_data import PARTS, TrainingData, one_schema

ROWS = 20_000
MERCHANTS = 5_000
ALL_PARTS = dict.fromkeys(PARTS, ROWS)


def merchants(rows: int, seed: int, *, of: int = MERCHANTS, power: float = 1.1) -> pd.DataFrame:
    """The n-th commonest value is drawn with weight ``n ** -power``, and is sometimes missing; amounts depend on it."""
    rng = np.random.default_rng(seed)
    weights = np.arange(1, of + 1) ** -power
    drawn = rng.choice(of, rows, p=weights / weights.sum())
    names = [f"m{n:04}" for n in drawn]
    table = pd.DataFrame({"amount": np.log1p(drawn) + rng.normal(size=rows), "merchant": names})
    table.loc[rng.random(rows) < 0.02, "merchant"] = None
    return table


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    path = tmp_path_factory.mktemp("data") / "merchants.parquet"
    merchants(ROWS, 0).to_parquet(path)
    return opened(path)


def opened(path: Path) -> TrainingData:
    datasets = [open_dataset(path)]
    return TrainingData(datasets, one_schema(datasets), fractions=(0.05, 0.2), gather=True)


def learned(data: TrainingData) -> Column:
    assert isinstance(data.schema, TableSchema)
    return data.schema.columns[1]


def shares(rows: np.ndarray, column: Column) -> dict[str, float]:
    codes = rows[:, 1]
    other, unseen = len(column.categories), column.unseen
    halfway = (other + unseen) // 2
    return {
        "own": (codes < other).mean(),
        "commoner": ((codes >= other) & (codes < halfway)).mean(),
        "rarer": ((codes >= halfway) & (codes < unseen)).mean(),
        "unseen": (codes == unseen).mean(),
        "missing": np.isnan(codes).mean(),
    }


def test_the_commonest_values_are_categories_in_alphabetical_order(data: TrainingData) -> None:
    column = learned(data)
    assert len(column.categories) == OWN
    # In the tail the order depends on chance; at the head it is certain.
    assert column.categories[:30] == tuple(f"m{n:04}" for n in range(30))
    assert list(column.categories) == sorted(column.categories)
    (summary,) = (each.summary for each in data.gathered)
    assert re.match(r"merchant: 63 values of their own, 2,\d+ others in 1\d classes by .*, 3\d % of rows", summary), (
        summary
    )


def test_classes_are_as_common_as_each_other_and_as_the_commonest_values(data: TrainingData) -> None:
    column = learned(data)
    codes = data.schema.coerce(merchants(200_000, 2))[:, 1]  # type: ignore[union-attr]
    found = np.array([(codes == code).mean() for code in range(OWN, column.unseen)])
    assert len(found) == len(column.others)
    # Values that occur equally often are one class.
    assert np.median(found) == pytest.approx(1 / 64, abs=0.004)
    assert found.min() > 0.25 / 64
    fit = data.samples({"fit": ROWS})["fit"][:, 1]
    assert [(fit == code).mean() for code in range(OWN, column.unseen)] == pytest.approx(found, abs=0.01)
    sizes = [len(base64.b64decode(each)) for each in column.others]
    assert sizes[0] < sizes[-1] / 10  # the commonest first: a few of them account for as many rows


def test_a_value_has_the_same_code_in_the_schema_as_in_training(data: TrainingData) -> None:
    rows = pd.DataFrame({"amount": 0.0, "merchant": ["m0000", "m0200", "nobody", None]})
    codes = data.schema.coerce(rows)[:, 1]  # type: ignore[union-attr]
    np.testing.assert_array_equal(codes[[0, 2, 3]], [0, learned(data).unseen, np.nan])
    assert OWN <= codes[1] < learned(data).unseen


def test_held_out_rows_are_like_fresh_ones(data: TrainingData) -> None:
    column, found = learned(data), data.samples(ALL_PARTS)
    fresh = data.schema.coerce(merchants(100_000, 1))  # type: ignore[union-attr]
    expected = shares(fresh, column)
    assert expected["unseen"] > 0.03  # in such a long tail there are always new values
    for part in PARTS:
        for name, share in shares(found[part], column).items():
            # Four standard deviations; the rows to fit determined what is common, which shows a little.
            allowed = 4 * np.sqrt(expected[name] / len(found[part])) + (0.012 if part == "fit" else 0.0)
            assert share == pytest.approx(expected[name], abs=allowed), (part, name)


def test_batches_consist_of_the_samples_to_fit(data: TrainingData) -> None:
    (batch,) = data.batches(data.fit_rows, 0)
    fit = data.samples({"fit": ROWS})["fit"]
    order = [np.lexsort(np.nan_to_num(rows, nan=-1.0).T) for rows in (batch, fit)]
    np.testing.assert_array_equal(batch[order[0]], fit[order[1]])


def test_values_that_are_common_by_chance_are_not_taken_for_common(tmp_path: Path) -> None:
    path = tmp_path / "flat.parquet"
    merchants(4_000, 0, of=1_500, power=0.0).to_parquet(path)
    data = opened(path)
    assert learned(data).categories == ()
    assert learned(data).unseen == len(learned(data).others)
    assert "merchant: 0 values of their own" in data.gathered[0].summary


def test_a_column_of_few_values_is_left_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "few.parquet"
    merchants(4_000, 0, of=64, power=0.0).to_parquet(path)
    data = opened(path)
    assert not data.gathered
    assert learned(data).categories == tuple(f"m{n:04}" for n in range(64))


def test_a_given_schema_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "merchants.parquet"
    merchants(4_000, 0, of=200, power=0.5).to_parquet(path)
    datasets = [open_dataset(path)]
    schema = one_schema(datasets)
    assert TrainingData(datasets, schema, fractions=(0.05, 0.2)).schema == schema


def test_codes_are_rewritten_in_place() -> None:
    column = Column(name="c", kind="category", categories=tuple(f"v{n:02}" for n in range(70)))
    counts = np.full(70, LEAST_ROWS)
    counts[[3, 4, 5, 6]] = 100, 0, 1, 2
    assert many(TableSchema(columns=(column, Column(name="x", kind="numeric")))) == [0]
    gathered = Gathered.of(0, column, counts)
    assert gathered.column.categories[:5] == ("v00", "v01", "v02", "v03", "v07")
    assert gathered.column.others == (digests(["v66", "v67", "v68", "v69"]), digests(["v05", "v06"]))
    rows = np.array([[3.0, 9.0], [4.0, 9.0], [5.0, 9.0], [6.0, 9.0], [np.nan, 9.0], [70.0, 9.0], [66.0, 9.0]])
    fitted = rows.copy()
    gathered.rewrite(rows, fit=False)
    np.testing.assert_array_equal(rows[:, 0], [3, 65, 64, 64, np.nan, 65, 63])
    gathered.rewrite(fitted, fit=True)
    np.testing.assert_array_equal(fitted[:, 0], [3, 65, 65, 64, np.nan, 65, 63])
    np.testing.assert_array_equal(rows[:, 1], 9.0)
