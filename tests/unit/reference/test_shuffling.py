"""The shuffle loses no row, and mixes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.reference.shuffling import batched, shuffled


def chunks(rows: int, size: int) -> list[np.ndarray]:
    numbers = np.arange(rows, dtype=np.float64)[:, None]
    return [numbers[start : start + size] for start in range(0, rows, size)]


@given(rows=st.integers(0, 300), size=st.integers(1, 20), capacity=st.integers(20, 400), seed=st.integers(0, 9))
def test_every_row_appears_exactly_once(rows: int, size: int, capacity: int, seed: int) -> None:
    out = [row for chunk in shuffled(chunks(rows, size), capacity, np.random.default_rng(seed)) for row in chunk[:, 0]]
    assert sorted(out) == list(range(rows))


def test_the_order_depends_on_the_generator_only() -> None:
    first, again, other = (
        np.concatenate(list(shuffled(chunks(500, 10), 100, np.random.default_rng(seed)))) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_rows_stay_about_as_long_as_the_buffer() -> None:
    out = np.concatenate(list(shuffled(chunks(20_000, 50), 1_000, np.random.default_rng(0))))[:, 0]
    delay = np.arange(20_000) + 1_000 - out
    assert 900 < delay[:15_000].mean() < 1_100
    assert delay[:15_000].std() > 800


def test_the_shuffle_is_uniform_if_all_rows_fit() -> None:
    means = [
        np.concatenate(list(shuffled(chunks(100, 10), 100, np.random.default_rng(seed))))[:10].mean()
        for seed in range(300)
    ]
    assert abs(np.mean(means) - 49.5) < 2.0


@given(rows=st.integers(0, 100), chunk=st.integers(1, 40), size=st.integers(1, 30), count=st.integers(1, 9))
def test_batches_are_full_and_in_order(rows: int, chunk: int, size: int, count: int) -> None:
    out = list(batched(chunks(rows, chunk), size, count))
    assert len(out) == min(count, rows // size)
    assert all(len(batch) == size for batch in out)
    assert [row for batch in out for row in batch[:, 0]] == list(range(len(out) * size))
