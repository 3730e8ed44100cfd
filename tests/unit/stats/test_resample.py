"""Null streams use all samples equally often, none twice in a window, and their windows vary as fresh ones do."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.memory import Memory
from driftwatch.stats.resample import _draws, null_panes, plausible_offsets, sums_with_repetition

BANK = np.arange(1_000, dtype=np.float32)[:, None] ** np.array([0, 1])


@pytest.mark.parametrize("longest", [1, 50, 300, 500])
def test_no_sample_recurs_within_a_window(longest: int) -> None:
    drawn = np.concatenate(list(islice(_draws(1_000, longest, np.random.default_rng(0), 1), 40)))
    assert set(np.bincount(drawn)) == {40}
    last: dict[int, int] = {}
    for place, number in enumerate(drawn.tolist()):
        assert place - last.get(number, -longest) >= longest
        last[number] = place


def test_windows_larger_than_half_the_bank_repeat_samples() -> None:
    drawn = np.concatenate(list(islice(_draws(1_000, 501, np.random.default_rng(0), 1), 40)))
    assert len(set(np.bincount(drawn, minlength=1_000))) > 1


@pytest.mark.parametrize(("step", "count", "longest"), [(10, 57, 50), (10, 2_500, 500), (7, 400, 7), (400, 9, 400)])
def test_chunks_form_one_stream(step: int, count: int, longest: int) -> None:
    panes = np.concatenate(list(null_panes(HeldOut(BANK), step, count, longest, np.random.default_rng(1))))
    assert len(panes) == count
    assert (panes[:, 0] == step).all()


def test_the_mean_of_a_bank_is_redrawn_from_time_to_time() -> None:
    others = np.array([500.0, 500.0 * 600.0])
    drawn = null_panes(HeldOut(BANK, others), 1_000, 3_000, 200, np.random.default_rng(1))
    sums = np.concatenate(list(drawn))[:, 1] / 1_000
    # A pass through the bank has its mean, whose uncertainty is that of 1,000 samples and 500 others.
    best = (1_000 * BANK[:, 1].mean() + 500 * 600) / 1_500
    assert len(set(sums.round(6))) > 1_000
    assert sums.mean() == pytest.approx(best, abs=1.0)
    assert sums.var() == pytest.approx(BANK[:, 1].var() * (1_000 / 1_500 + 1) / 1_000, rel=0.1)


def test_the_variance_of_windows_lacks_what_repetition_would_add() -> None:
    """It is ``1/n - 1/B`` times the samples' variance, which calibration relies on."""
    n = 200
    sums = np.concatenate(list(null_panes(HeldOut(BANK), n, 20_000, n, np.random.default_rng(2))))
    expected = BANK[:, 1].var(ddof=1) * (1 / n - 1 / len(BANK))
    assert (sums[:, 1] / n).var() == pytest.approx(expected, rel=0.05)


def test_windows_with_repetition_have_the_variance_of_fresh_ones_at_any_size() -> None:
    for size in (700, 10_000_000):  # drawn one by one, the larger would be 160 GB of numbers
        sums = sums_with_repetition(BANK, size, 2_000, np.random.default_rng(2))
        assert (sums[:, 0] == size).all()
        assert (sums[:, 1] / size).mean() == pytest.approx(BANK[:, 1].mean(), rel=0.01)
        assert (sums[:, 1] / size).var() == pytest.approx(BANK[:, 1].var() / size, rel=0.1)


def test_redrawn_means_are_finite_even_with_few_blocks() -> None:
    bank = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    others = np.array([30.0, 0.0, 0.0, 0.0])
    for seed in range(5):
        offsets = plausible_offsets(HeldOut(bank, others, Memory(5.0, 10)), False, np.random.default_rng(seed), 20)
        assert np.isfinite(offsets).all()
