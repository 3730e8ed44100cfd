"""Graded shifts have the size that was requested."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.data.corruptions import DESCRIBED, corruptions_for
from driftwatch.data.graded import MOST_COLUMNS, GradedShift, graded_shifts
from driftwatch.data.schema import Column, ImageSchema, Samples, Schema, TableSchema, VectorSchema

IMAGE = ImageSchema(channels=1, height=8, width=8)
TABLE = TableSchema(
    columns=(
        Column(name="real", kind="numeric"),
        Column(name="whole", kind="numeric"),
        Column(name="constant", kind="numeric"),
        Column(name="kind", kind="category", categories=("a", "b")),
    )
)


def samples(schema: Schema) -> Samples:
    rng = np.random.default_rng(0)
    if isinstance(schema, ImageSchema):
        return rng.integers(50, 200, (2_000, 1, 8, 8)).astype(np.float32)
    if isinstance(schema, VectorSchema):
        return rng.normal(size=(2_000, schema.dim))
    columns = [rng.normal(3, 2, 2_000), rng.poisson(9, 2_000), np.full(2_000, 7.0), rng.integers(0, 2, 2_000)]
    table = np.column_stack(columns).astype(np.float64)
    table[::10, 0] = np.nan
    return table


def shifts(schema: Schema) -> dict[str, GradedShift]:
    return {shift.name: shift for shift in graded_shifts(schema, samples(schema))}


@pytest.mark.parametrize("schema", [IMAGE, TABLE, VectorSchema(dim=9)], ids=lambda schema: schema.kind)
def test_every_shift_moves_samples_and_keeps_their_shape(schema: Schema) -> None:
    x = samples(schema)
    for shift in shifts(schema).values():
        assert 0 < shift.smallest < shift.largest
        assert 1 <= len(shift.moves) <= MOST_COLUMNS
        for move in shift.moves:
            moved = move(x, shift.largest, np.random.default_rng(1))
            assert moved.shape == x.shape
            assert not np.array_equal(moved, x, equal_nan=True)
            assert np.array_equal(schema.coerce(moved), moved, equal_nan=True)


def test_shifts_have_the_requested_size() -> None:
    x, rng = samples(IMAGE), np.random.default_rng(1)
    found = shifts(IMAGE)
    assert (found["brighter"].moves[0](x, 0.1, rng) - x).mean() == pytest.approx(25.5, abs=0.6)
    assert (found["darker"].moves[0](x, 0.2, rng) / x).mean() == pytest.approx(0.8, abs=0.01)
    assert (found["noise"].moves[0](x, 0.05, rng) - x).std() == pytest.approx(0.05 * 255, rel=0.05)


def test_columns_are_shifted_one_at_a_time_and_whole_numbers_stay_whole() -> None:
    x, rng = samples(TABLE), np.random.default_rng(1)
    found = shifts(TABLE)
    assert len(found["mean"].moves) == 2  # neither the constant nor the category
    for column, (higher, wider) in enumerate(zip(found["mean"].moves, found["spread"].moves, strict=True)):
        spread = np.nanstd(x[:, column])
        raised, widened = higher(x, 0.5, rng), wider(x, 0.5, rng)
        assert np.nanmean(raised - x, axis=0)[column] == pytest.approx(0.5 * spread, rel=0.05)
        assert np.nanstd(widened[:, column]) == pytest.approx(1.5 * spread, rel=0.05)
        others = [other for other in range(4) if other != column]
        np.testing.assert_array_equal(raised[:, others], x[:, others])
    assert np.array_equal(raised, np.rint(raised), equal_nan=True) is False
    assert np.array_equal(raised[:, 1], np.rint(raised[:, 1]))


def test_decoupled_columns_keep_their_values() -> None:
    x = samples(VectorSchema(dim=3))
    moved = shifts(VectorSchema(dim=3))["columns apart"].moves[0](x, 1.0, np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(moved, axis=0), np.sort(x, axis=0))


@pytest.mark.parametrize("schema", [IMAGE, TABLE, VectorSchema(dim=9)], ids=lambda schema: schema.kind)
def test_built_in_shifts_are_described(schema: Schema) -> None:
    assert set(corruptions_for(schema)) <= set(DESCRIBED)
