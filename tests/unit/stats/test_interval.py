"""The interval of an effect covers the truth about as often as it says, for any window size."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.interval import Z_95, effect_interval
from driftwatch.stats.null import WindowNull, fit_window_null
from driftwatch.stats.resample import null_windows
from driftwatch.stats.summary import Array
from tests.gaussian import Gaussian, draw, fitted

SHAPES, STEP, HELD_OUT, SHIFT = ((4, 2),), 10, 2_000, 0.3
TRUTH = 8 * SHIFT**2 / 2


def setting(seed: int, size: int) -> tuple[np.random.Generator, Gaussian, WindowNull]:
    rng = np.random.default_rng(seed)
    g = fitted(rng, SHAPES, n=HELD_OUT)
    bank = g.summaries(draw(rng, HELD_OUT, SHAPES)).astype(np.float32)
    return rng, g, fit_window_null(null_windows(HeldOut(bank, g.others), g.layout, size, count=400), g.layout, size)


def panes(rng: np.random.Generator, g: Gaussian, size: int, shift: float) -> Array:
    summaries = g.summaries(draw(rng, size, SHAPES, shift))
    return np.asarray(summaries.reshape(-1, STEP, summaries.shape[1]).sum(1))


@pytest.mark.parametrize("size", [500, 10_000])
def test_the_interval_covers_the_truth(size: int) -> None:
    covered = []
    for seed in range(12):  # different references, whose error is the same in all their windows
        rng, g, null = setting(seed, size)
        for _ in range(3):
            _, low, high = effect_interval(null, panes(rng, g, size, SHIFT), HELD_OUT)
            covered.append(low <= TRUTH <= high)
    assert np.mean(covered) >= 0.85


def test_the_interval_is_wider_for_a_less_certain_reference() -> None:
    rng, g, null = setting(0, 5_000)
    window = panes(rng, g, 5_000, SHIFT)
    little, much = (effect_interval(null, window, known) for known in (500, 1_000_000))
    assert little[2] - little[1] > 3 * (much[2] - much[1])


def test_the_interval_is_never_narrower_than_chance() -> None:
    rng, g, null = setting(1, 500)
    for _ in range(20):
        effect, low, high = effect_interval(null, panes(rng, g, 500, 0.0), HELD_OUT)
        assert low <= effect - 0.999 * Z_95 * null.effect_size.deviation
        assert high >= effect + 0.999 * Z_95 * null.effect_size.deviation
