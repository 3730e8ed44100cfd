"""Null streams hold every sample equally often, none twice in a window, and vary as fresh windows do."""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
import pytest

from driftwatch.stats.resample import _draws, null_panes, plausible_offsets

BANK = np.arange(1_000, dtype=np.float32)[:, None] ** np.array([0, 1])


@pytest.mark.parametrize("longest", [1, 50, 300, 500])
def test_no_sample_comes_again_within_a_window(longest: int) -> None:
    drawn = np.concatenate(list(islice(_draws(1_000, longest, np.random.default_rng(0), 1), 40)))
    assert set(np.bincount(drawn)) == {40}
    last: dict[int, int] = {}
    for place, number in enumerate(drawn.tolist()):
        assert place - last.get(number, -longest) >= longest
        last[number] = place


def test_windows_larger_than_half_the_bank_repeat() -> None:
    drawn = np.concatenate(list(islice(_draws(1_000, 501, np.random.default_rng(0), 1), 40)))
    assert len(set(np.bincount(drawn, minlength=1_000))) > 1


@pytest.mark.parametrize(("step", "count", "overlap"), [(10, 57, 5), (10, 2_500, 50), (7, 400, 1), (400, 9, 1)])
def test_chunks_make_one_stream(step: int, count: int, overlap: int) -> None:
    chunks = list(null_panes(BANK, step, count, overlap, np.random.default_rng(1)))
    for before, after in pairwise(chunks):
        np.testing.assert_array_equal(before[len(before) - (overlap - 1) :], after[: overlap - 1])
    panes = np.concatenate([chunks[0], *(chunk[overlap - 1 :] for chunk in chunks[1:])])
    assert len(panes) == count
    assert (panes[:, 0] == step).all()


def test_windows_vary_about_the_bank_by_what_repetition_would_add() -> None:
    """``1/n - 1/B``, times the variance: what calibration counts on."""
    n = 200
    sums = np.concatenate(list(null_panes(BANK, n, 20_000, 1, np.random.default_rng(2))))
    expected = BANK[:, 1].var(ddof=1) * (1 / n - 1 / len(BANK))
    assert (sums[:, 1] / n).var() == pytest.approx(expected, rel=0.05)


def test_means_are_plausible_however_few_blocks_there_are() -> None:
    bank = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    others = np.array([30.0, 0.0, 0.0, 0.0])
    for seed in range(5):
        offsets = plausible_offsets(bank, others, False, np.random.default_rng(seed), 10)
        assert np.isfinite(offsets).all()
