"""Nulls interpolated between simulated sizes are as good as simulated ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from driftwatch.stats import between
from driftwatch.stats.between import NullGrid
from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.null import DETECTORS, fit_window_null
from driftwatch.stats.resample import null_windows
from tests.gaussian import draw, fitted

SHAPES = ((2, 3), (1, 4))


@pytest.mark.parametrize(("sizes", "size"), [((20, 32), 25), ((50, 80), 63)])
def test_p_values_are_uniform_between_sizes(sizes: tuple[int, int], size: int) -> None:
    rng = np.random.default_rng(3)
    reference = fitted(rng, SHAPES)
    layout = reference.layout
    held_out, fresh = (HeldOut(reference.summaries(draw(rng, 20_000, SHAPES)).astype(np.float32)) for _ in range(2))
    grid = NullGrid(
        tuple(fit_window_null(null_windows(held_out, layout, each, count=8_000), layout, each) for each in sizes)
    )
    tested = grid.at(size).judge(null_windows(fresh, layout, size, count=2_000, seed=9))
    for detector in DETECTORS:
        assert stats.kstest(tested.p_values[detector], "uniform").pvalue > 1e-3, detector
    assert (tested.p_values["combined"] <= 1e-2).mean() == pytest.approx(1e-2, abs=0.009)
    assert abs(tested.effect.mean()) < 0.02
    assert grid.at(sizes[0]) is grid.nulls[0]


def test_a_stream_of_many_sizes_keeps_a_few_nulls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(between, "CACHED", 3)
    rng = np.random.default_rng(3)
    reference = fitted(rng, SHAPES, 2_000)
    held_out = reference.summaries(draw(rng, 2_000, SHAPES)).astype(np.float32)
    layout = reference.layout
    grid = NullGrid(
        tuple(fit_window_null(null_windows(HeldOut(held_out), layout, n, count=400), layout, n) for n in (20, 32, 51))
    )
    assert [grid.at(size).size for size in [*range(20, 52), 20]] == [*range(20, 52), 20]
    assert len(grid._interpolated) == 3
