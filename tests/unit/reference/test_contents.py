"""Copies of a row are found within bounded memory, and never split between parts unless they are common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import VectorSchema
from driftwatch.reference.contents import MOST_TOGETHER, contents_of, hash_rows
from driftwatch.reference.training_data import PARTS, TrainingData

ROWS = 6_000


def rows(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(ROWS, 3))


def data(folder: Path, values: np.ndarray, seed: int = 0) -> TrainingData:
    np.save(folder / "data.npy", values)
    return TrainingData(
        [open_dataset(folder / "data.npy")], VectorSchema(dim=3), fractions=(0.1, 0.2), seed=seed, memory_bytes=1 << 20
    )


def parts_of(source: TrainingData) -> dict[str, set[bytes]]:
    found = source.samples(dict.fromkeys(PARTS, source.rows))
    return {part: {row.tobytes() for row in samples} for part, samples in found.items()}


def test_copies_are_counted() -> None:
    values = rows()
    values[:600] = values[-1]
    found = contents_of([values[:1_000], values[1_000:]], ROWS)
    assert found.repeated == pytest.approx(600 / ROWS)
    assert found.most == 601


def test_with_bounded_memory_a_share_of_rows_is_examined_with_all_their_copies() -> None:
    values = np.repeat(rows()[: ROWS // 2], 2, axis=0)
    found = contents_of([values], ROWS, most=1_000)
    assert 700 < len(found.hashes) <= 1_000
    assert not found.complete
    assert found.keys is None
    assert found.repeated == pytest.approx(0.5)


def test_rows_of_other_types_and_shapes_have_hashes_too() -> None:
    images = np.zeros((2, 1, 3, 3), dtype=np.float32)
    images[1, 0, 2, 2] = 1.0
    first, second = hash_rows(images)
    assert first != second


def test_copies_stay_together_and_the_split_does_not_depend_on_the_order(tmp_path: Path) -> None:
    values = np.tile(rows()[: ROWS // 2], (2, 1))
    source = data(tmp_path, values)
    parts = parts_of(source)
    assert sum(map(len, parts.values())) == len(set.union(*parts.values())) == ROWS // 2
    assert source.leaked == 0.0
    assert parts_of(data(tmp_path, np.random.default_rng(1).permutation(values))) == parts
    assert parts_of(data(tmp_path, values, seed=1)) != parts


def test_a_common_row_is_in_every_part(tmp_path: Path) -> None:
    values = rows()
    values[:: ROWS // 600] = 0.0
    source = data(tmp_path, values)
    assert all(np.zeros(3).tobytes() in part for part in parts_of(source).values())
    assert source.leaked == pytest.approx(0.1, abs=0.03)
    assert source.contents.most > MOST_TOGETHER


def test_the_place_of_a_row_is_described(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", rows()[:1_500])
    np.save(tmp_path / "b.npy", rows()[1_500:])
    datasets = [open_dataset(tmp_path / name) for name in ("a.npy", "b.npy")]
    both = TrainingData(datasets, VectorSchema(dim=3), fractions=(0.1, 0.2))
    assert [both.place_of(row) for row in (1_499, 1_500)] == ["row 1,500 of a.npy", "row 1 of b.npy"]
    assert TrainingData(datasets[:1], VectorSchema(dim=3), fractions=(0.1, 0.2)).place_of(9) == "row 10"
