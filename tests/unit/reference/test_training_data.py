"""Parts never mix, whatever the memory; processes share the samples to fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import TableSchema, VectorSchema
from driftwatch.errors import DataError, TrainingError
from driftwatch.reference.training_data import (
    MIN_BUFFER_ROWS,
    PARTS,
    TrainingData,
    one_schema,
    require_variety,
    uniform_hash,
)

ROWS = 9_000
ALL_PARTS = dict.fromkeys(PARTS, ROWS)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Vectors whose first number is their row, in two files."""
    folder = tmp_path_factory.mktemp("data")
    rows = np.stack([np.arange(ROWS), np.arange(ROWS) % 7], axis=1).astype(np.float64)
    np.save(folder / "a.npy", rows[:4_000])
    np.save(folder / "b.npy", rows[4_000:])
    return [folder / "a.npy", folder / "b.npy"]


def data(files: list[Path], *, memory_bytes: int = 1 << 20, seed: int = 0) -> TrainingData:
    datasets = [open_dataset(path) for path in files]
    return TrainingData(datasets, VectorSchema(dim=2), fractions=(0.1, 0.2), seed=seed, memory_bytes=memory_bytes)


def numbers(arrays: list[np.ndarray]) -> list[int]:
    return [int(row) for array in arrays for row in array[:, 0]]


def test_parts_are_disjoint_and_complete(files: list[Path]) -> None:
    found = data(files).samples(ALL_PARTS)
    parts = {part: set(numbers([samples])) for part, samples in found.items()}
    assert set.union(*parts.values()) == set(range(ROWS))
    assert sum(map(len, parts.values())) == ROWS
    assert len(parts["fit"]) == data(files).fit_rows
    assert len(parts["validation"]) == pytest.approx(0.1 * ROWS, rel=0.1)
    assert len(parts["calibration"]) == pytest.approx(0.2 * ROWS, rel=0.1)


@pytest.mark.parametrize("memory_bytes", [1 << 20, 1], ids=["held", "streamed"])
def test_an_epoch_consists_of_the_samples_to_fit(files: list[Path], memory_bytes: int) -> None:
    source = data(files, memory_bytes=memory_bytes)
    assert (source.fit_rows < source.buffer_rows) == (memory_bytes > 1)
    fit = set(numbers([source.samples({"fit": ROWS})["fit"]]))
    for epoch in range(2):
        seen = numbers(list(source.batches(10, epoch)))
        assert len(seen) == len(set(seen)) == len(fit) // 10 * 10
        assert set(seen) <= fit


@pytest.mark.parametrize("memory_bytes", [1 << 20, 1], ids=["held", "streamed"])
def test_epochs_differ_and_are_reproducible(files: list[Path], memory_bytes: int) -> None:
    first, again, other, seeded = (
        numbers(list(data(files, memory_bytes=memory_bytes, seed=seed).batches(10, epoch)))
        for epoch, seed in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    assert first == again
    assert first != other
    assert first != seeded
    assert np.corrcoef(first, np.arange(len(first)))[0, 1] < 0.9


@pytest.mark.parametrize("memory_bytes", [1 << 20, 1], ids=["held", "streamed"])
def test_processes_get_different_samples_and_equally_many(files: list[Path], memory_bytes: int) -> None:
    batches = [list(data(files, memory_bytes=memory_bytes).batches(10, 0, rank=rank, world=2)) for rank in range(2)]
    assert len(batches[0]) == len(batches[1]) == data(files).fit_rows // 2 // 10
    assert not set(numbers(batches[0])) & set(numbers(batches[1]))


def test_limits_take_evenly_from_all_data(files: list[Path]) -> None:
    found = data(files).samples({"fit": 500})["fit"]
    assert 400 < len(found) <= 500
    assert np.mean(found[:, 0]) == pytest.approx(ROWS / 2, rel=0.1)


def test_the_buffer_is_bounded(files: list[Path]) -> None:
    assert data(files, memory_bytes=1).buffer_rows == MIN_BUFFER_ROWS
    assert data(files, memory_bytes=160_000).buffer_rows == 10_000


def test_the_fingerprint_depends_on_the_contents(files: list[Path], tmp_path: Path) -> None:
    assert data(files).fingerprint == data(files).fingerprint
    assert data(files).fingerprint != data(files[::-1]).fingerprint


def test_too_few_samples_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "few.npy", np.zeros((999, 2)))
    with pytest.raises(TrainingError, match=r"few\.npy: 999 samples are too few"):
        data([tmp_path / "few.npy"])


def test_files_must_be_of_one_kind(files: list[Path], tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.zeros((1_000, 3)))
    with pytest.raises(DataError, match=r"wide\.npy: holds a vector of 3"):
        one_schema([open_dataset(files[0]), open_dataset(tmp_path / "wide.npy")])


def test_tables_in_several_files_are_one(tmp_path: Path) -> None:
    (tmp_path / "january.csv").write_text("n,town\n1,Bonn\n2,Ulm\n")
    (tmp_path / "february.csv").write_text("town,n,more\nJena,1,0\nBonn,2,0\n")
    found = one_schema([open_dataset(tmp_path / name) for name in ("january.csv", "february.csv")])
    assert isinstance(found, TableSchema)
    assert [column.name for column in found.columns] == ["n", "town"]
    assert found.columns[1].categories == ("Bonn", "Jena", "Ulm")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"n": [1], "town": [7]}, r"other\.parquet: column town: holds int64, in first\.parquet string"),
        ({"n": [1], "place": ["Bonn"]}, r"other\.parquet: has no column 'town'"),
    ],
)
def test_files_with_different_columns_are_refused(other: dict[str, list[object]], message: str, tmp_path: Path) -> None:
    pa_parquet.write_table(pa.table({"n": [1], "town": ["Bonn"]}), tmp_path / "first.parquet")
    pa_parquet.write_table(pa.table(other), tmp_path / "other.parquet")
    with pytest.raises(DataError, match=message):
        one_schema([open_dataset(tmp_path / name) for name in ("first.parquet", "other.parquet")])


def test_the_type_of_a_csv_column_depends_on_all_files(tmp_path: Path) -> None:
    (tmp_path / "january.csv").write_text("ward,smoker,age\n007,TRUE,1\n012,FALSE,2\n")
    (tmp_path / "february.csv").write_text("ward,smoker,age\nA1,UNKNOWN,2.5\n")
    for names in (("january.csv", "february.csv"), ("february.csv", "january.csv")):
        datasets = [open_dataset(tmp_path / name) for name in names]
        found = one_schema(datasets)
        assert isinstance(found, TableSchema)
        assert [column.categories for column in found.columns] == [
            ("007", "012", "A1"),
            ("FALSE", "TRUE", "UNKNOWN"),
            (),
        ]
        rows = np.concatenate([chunk for dataset in datasets for chunk in dataset.chunks(found)])
        assert sorted(rows.tolist()) == [[0, 1, 1], [1, 0, 2], [2, 2, 2.5]]


def test_vectors_are_whole_numbers_only_if_they_are_in_all_files(tmp_path: Path) -> None:
    np.save(tmp_path / "whole.npy", np.arange(20).reshape(10, 2))
    np.save(tmp_path / "any.npy", np.arange(20).reshape(10, 2) / 3)
    whole, others = open_dataset(tmp_path / "whole.npy"), open_dataset(tmp_path / "any.npy")
    assert one_schema([whole, whole]) == VectorSchema(dim=2, integer=True)
    assert one_schema([whole, others]) == one_schema([others, whole]) == VectorSchema(dim=2)


def test_samples_that_are_all_the_same_are_refused() -> None:
    constant = np.ones((5, 2))
    with pytest.raises(TrainingError, match="all samples are the same"):
        require_variety(constant, "x")
    constant[:, 1] = np.nan
    with pytest.raises(TrainingError, match="all samples are the same"):
        require_variety(constant, "x")
    constant[3, 1] = 0.0
    require_variety(constant, "x")


def test_the_hash_is_uniform_and_seeds_are_independent() -> None:
    rows = np.arange(50_000)
    first, second = uniform_hash(rows, 0), uniform_hash(rows, 1)
    for draw in (first, second):
        assert 0 <= draw.min() < draw.max() < 1
        assert np.histogram(draw, 10, (0, 1))[0] == pytest.approx(5_000, rel=0.06)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.02
