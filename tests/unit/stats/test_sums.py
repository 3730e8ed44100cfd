"""Sums packed into few bytes are unpacked unchanged, and add up exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.stats.summary import GRID, on_grid
from driftwatch.stats.sums import EXACT_UNITS, MOST, keep, keep_each

ON_GRID = st.integers(-EXACT_UNITS, EXACT_UNITS).map(lambda units: units * GRID)
SMALL = st.integers(1 - MOST, MOST - 1).map(lambda units: units * GRID)


@given(st.lists(st.one_of(st.floats(), ON_GRID, SMALL)))
def test_every_sum_is_unpacked_unchanged(numbers: list[float]) -> None:
    values = np.array(numbers, dtype=np.float64)
    assert np.array_equal(keep(values).values, values, equal_nan=True)


@given(st.lists(st.lists(st.one_of(st.floats(), SMALL), min_size=3, max_size=3), max_size=4))
def test_packing_several_equals_packing_each(summaries: list[list[float]]) -> None:
    values = np.array(summaries, dtype=np.float64).reshape(-1, 3)
    for found, expected in zip(keep_each(values), map(keep, values), strict=True):
        assert (found.bound, found.units.dtype) == (expected.bound, expected.units.dtype)
        np.testing.assert_array_equal(found.values, expected.values)


@given(st.lists(st.one_of(ON_GRID, SMALL), min_size=1))
def test_packed_sums_are_added_and_subtracted_exactly(numbers: list[float]) -> None:
    sums, total = keep(np.array(numbers)), np.zeros(len(numbers))
    sums.add_to(total)
    assert (total * GRID).tolist() == numbers
    assert sums.bound is not None
    assert np.abs(total).max() <= sums.bound
    sums.take_from(total)
    assert not total.any()


def test_packed_sums_take_half_the_bytes_even_if_some_are_large() -> None:
    values = on_grid(np.random.default_rng(0).standard_normal(1_000))
    values[[1, 2]] = 1e6, -(2.0**16)
    sums = keep(values)
    assert sums.large is not None
    assert sums.units.nbytes == values.nbytes // 2
    assert sums.large[0].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("units", "exact"), [(MOST - 1, True), (MOST, True), (EXACT_UNITS, True), (1.5, False), (1e20, False)]
)
def test_packed_sums_have_a_bound_if_they_can_be_added_exactly(units: float, exact: bool) -> None:
    assert (keep(np.array([units * GRID])).bound is not None) == exact
