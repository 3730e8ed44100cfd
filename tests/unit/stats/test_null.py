"""P-values are uniform under the null, and the fitted tail agrees with known distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.null import DETECTORS, fit_window_null
from driftwatch.stats.resample import null_windows
from driftwatch.stats.tail import fit_tail
from tests.gaussian import draw, fitted

SHAPES, SMALL, SINGLE = ((4, 4), (1, 6)), ((2, 3), (1, 4)), ((1, 1),)
DRAWN_TOGETHER = 1_000
"""Fresh samples drawn together: with fewer, there are more calls; with more, they exceed the processor's cache."""


@pytest.mark.parametrize("size", [1, 5, 50])
def test_p_values_are_uniform_on_fresh_data(size: int) -> None:
    rng = np.random.default_rng(3)
    reference = fitted(rng, SHAPES)
    layout = reference.layout
    held_out, fresh = (reference.summaries(draw(rng, 20_000, SHAPES)).astype(np.float32) for _ in range(2))
    # Many draws, so that the null's own error is small relative to the 2,000 windows compared with it.
    null = fit_window_null(null_windows(HeldOut(held_out), layout, size, count=20_000), layout, size)
    tested = null.judge(null_windows(HeldOut(fresh), layout, size, count=2_000, seed=9))
    for detector in DETECTORS:
        assert stats.kstest(tested.p_values[detector], "uniform").pvalue > 1e-3, detector


def test_windows_far_larger_than_the_data_cost_no_more() -> None:
    rng = np.random.default_rng(5)
    reference = fitted(rng, SMALL)
    held_out = reference.summaries(draw(rng, 500, SMALL)).astype(np.float32)
    # Drawn sample by sample, these would be 2e11 samples.
    measured = null_windows(HeldOut(held_out), reference.layout, 100_000_000, count=2_000)
    null = fit_window_null(measured, reference.layout, 100_000_000)
    assert (null.judge(measured).p_values["combined"] < 0.5).mean() == pytest.approx(0.5, abs=0.05)


def test_a_shift_is_detected_and_its_effect_measured() -> None:
    rng = np.random.default_rng(4)
    reference = fitted(rng, SHAPES)
    layout = reference.layout
    held_out, moved = (reference.summaries(draw(rng, 5_000, SHAPES, shift)).astype(np.float32) for shift in (0.0, 0.5))
    null = fit_window_null(null_windows(HeldOut(held_out), layout, 50), layout, 50)
    tested = null.judge(null_windows(HeldOut(moved), layout, 50, count=200))
    assert (tested.p_values["combined"] < 1e-6).mean() > 0.99
    # 22 dimensions, each shifted by half a deviation: 22 * 0.5 * 0.25 nats
    assert tested.effect.mean() == pytest.approx(22 * 0.125, rel=0.1)


@pytest.mark.parametrize(
    ("null", "tolerance"),
    [(stats.norm(), 0.35), (stats.expon(), 0.35), (stats.chi2(5), 0.35), (stats.t(4), 0.5)],
)
def test_the_tail_reaches_beyond_the_sample(null: stats.rv_continuous, tolerance: float) -> None:
    """From 20,000 draws, a p-value of one in 20,000 has the right order of magnitude, on average over repetitions."""
    level = null.isf(5e-5)
    logs = [np.log(fit_tail(null.rvs(20_000, random_state=seed)).p_value(np.array([level]))[0]) for seed in range(20)]
    # A light tail is deliberately overestimated (an endpoint is never trusted); a heavy one must not be underestimated.
    assert np.mean(logs) > np.log(5e-5) - tolerance
    assert np.mean(logs) < np.log(5e-5) + 1.3


def test_p_values_fall_as_the_statistic_rises() -> None:
    tail = fit_tail(np.random.default_rng(0).gamma(2.0, size=5_000))
    p = tail.p_value(np.linspace(-1, 60, 4_000))
    assert (np.diff(p) <= 0).all()
    assert p[0] == 1.0
    assert p[-1] > 0.0


@pytest.mark.parametrize("rounding", [-1e-7, 0.0, 1e-7])
def test_the_p_value_of_a_repeated_value_survives_rounding(rounding: float) -> None:
    tail = fit_tail(np.repeat([3.0, 4.0, 7.0], [500, 300, 200]))
    p = tail.p_value(np.array([3.0, 4.0, 7.0]) * (1.0 + rounding))
    np.testing.assert_allclose(p, [1.0, 0.5, 0.2], atol=0.003)


def test_a_constant_null_gives_usable_p_values() -> None:
    tail = fit_tail(np.zeros(1_000))
    assert tail.p_value(np.array([0.0]))[0] > 0.01
    assert tail.p_value(np.array([1.0]))[0] < 1e-6


def test_windows_of_few_one_dimensional_samples_have_finite_deviations() -> None:
    rng = np.random.default_rng(0)
    reference = fitted(rng, SINGLE, 300)
    bank = reference.summaries(draw(rng, 200, SINGLE)).astype(np.float32)
    null = fit_window_null(null_windows(HeldOut(bank, reference.others), reference.layout, 4), reference.layout, 4)
    assert np.isfinite(null.mean).all()
    centre = np.full((1, 1, 1), reference.moments.mean, dtype=np.float32)
    tested = null.test(reference.summaries([centre]) * 4)
    assert np.isfinite(tested.deviations).all()


# Windows of one reference share the error of its means, which more of them do not make smaller; more references do.
# Sixteen with a quarter of the windows detect smaller errors than ten, in half of the time where windows are long.
@pytest.mark.parametrize(("size", "references", "windows"), [(10, 10, 1_000), (50, 10, 1_000), (500, 16, 250)])
def test_p_values_of_independent_windows_are_uniform(size: int, references: int, windows: int) -> None:
    """Averaged over references, whose means err equally in all their windows, at a level of 0.001 for each detector.

    Geometry's are not uniform in windows of a fifth of the bank: the shares of tenths were off by up to 2 points.
    """
    together = DRAWN_TOGETHER // size
    rng = np.random.default_rng(5)
    p_values: dict[str, list[np.ndarray]] = {detector: [] for detector in DETECTORS}
    for seed in range(references):
        reference = fitted(rng, SMALL, 2_500)
        bank = reference.summaries(draw(rng, 2_500, SMALL)).astype(np.float32)
        drawn = null_windows(HeldOut(bank, reference.others), reference.layout, size, count=4_000, seed=seed)
        null = fit_window_null(drawn, reference.layout, size)
        drawn_each = (reference.summaries(draw(rng, together * size, SMALL)) for _ in range(windows // together))
        fresh = np.concatenate([each.reshape(together, size, -1).sum(1) for each in drawn_each])
        assert len(fresh) == windows
        tested = null.test(fresh)
        for detector in DETECTORS:
            p_values[detector].append(tested.p_values[detector])
    for detector, parts in p_values.items():
        shares = np.array([np.histogram(part, bins=10, range=(0.0, 1.0))[0] for part in parts]) / windows
        mean, error = shares.mean(0), shares.std(0, ddof=1) / references**0.5
        if (detector, size) == ("geometry", 500):
            assert np.abs(mean - 0.1).max() < 0.03
            continue
        assert np.abs((mean - 0.1) / error).max() < stats.t.isf(0.001 / 20, references - 1), detector
