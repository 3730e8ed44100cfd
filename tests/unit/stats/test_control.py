"""Thresholds keep the budget for p-values known to be valid, and their interval covers the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from driftwatch.stats.control import control_for
from driftwatch.stats.rates import StreamRates, StretchRates


def test_a_budget_beyond_the_simulation_is_met_by_extrapolation() -> None:
    p = np.random.default_rng(0).uniform(size=(1, 20_000))
    control = control_for(p, step=1, budget=1e6, resolve_after=1)
    # Independent uniform p-values alarm once per 1 / threshold steps.
    assert control.threshold == pytest.approx(1e-6, rel=1.0)


def test_bisection_meets_the_budget_within_the_simulation() -> None:
    p = np.random.default_rng(1).uniform(size=(4, 25_000))
    control = control_for(p, step=10, budget=10_000, resolve_after=1)
    assert control.observed == pytest.approx(10_000, rel=0.02)
    assert control.threshold == pytest.approx(1e-3, rel=0.35)


@pytest.mark.parametrize("budget", [100.0, 5_000.0, 100_000.0])
@pytest.mark.parametrize("streams", [1, 16])
def test_the_interval_covers_the_true_rate(budget: float, streams: int) -> None:
    covered = 0
    for seed in range(200):
        p = np.random.default_rng(seed).uniform(size=(streams, 40_000 // streams))
        control = control_for(p, step=1, budget=budget, resolve_after=0)
        low, high = control.interval
        covered += low <= 1 / control.threshold <= high
    assert covered >= 180


@pytest.mark.parametrize("budget", [500.0, 5_000.0])
def test_the_interval_covers_the_rate_if_a_bank_is_reused_many_times(budget: float) -> None:
    """Streams from halves of a bank of 5,000, each repeated eight times, so that every alarm occurs eight times."""
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        bank = rng.uniform(size=5_000).reshape(50, 100)
        halves = [np.tile(bank[rng.permutation(50)[:25]].ravel(), 8) for _ in range(16)]
        control = control_for(np.stack(halves), 1, budget, 0, distinct=5_000)
        low, high = control.interval
        covered += low <= 1 / control.threshold <= high
    assert covered >= 180


def test_streams_that_differ_widen_the_interval() -> None:
    """If rates vary by a factor of 1.5 between banks, they do so at other thresholds too."""
    rng = np.random.default_rng(3)
    alike = rng.uniform(size=(16, 5_000))
    varying = alike / np.exp(math.log(1.5) * rng.standard_normal((16, 1)))
    widths = [math.log(control_for(p, 1, 100.0, 0).interval[1] / 100.0) for p in (alike, varying)]
    assert widths[0] < 0.5
    assert widths[1] > math.log(1.5) * 1.5


def test_alarms_of_large_windows_count_towards_the_budget() -> None:
    rng = np.random.default_rng(4)
    streams, stretches = rng.uniform(size=(16, 5_000)), rng.uniform(size=(4_000, 20))
    alone, beside = (control_for(streams, 10, 20_000.0, 0, also) for also in (None, stretches))
    assert alone.threshold == pytest.approx(5e-4, rel=0.35)
    assert beside.threshold == pytest.approx(2.5e-4, rel=0.35)
    assert beside.observed == pytest.approx(20_000.0, rel=0.1)
    only = control_for(np.empty((0, 0)), 10, 20_000.0, 0, stretches)
    assert only.threshold == pytest.approx(5e-4, rel=0.35)


@pytest.mark.parametrize("common", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("budget", [2_000.0, 200_000.0])
def test_the_interval_covers_the_rates_if_references_differ(common: float, budget: float) -> None:
    """The p-values of normal variables that share a part of their variance with all others of the same reference."""
    rng = np.random.default_rng(5)
    reference_effects = rng.standard_normal(2_000).repeat(2)[:, None]
    values = math.sqrt(common) * reference_effects + math.sqrt(1 - common) * rng.standard_normal((4_000, 20))
    control = control_for(np.empty((0, 0)), 1, budget, 0, ndtr(values))
    limit = ndtri(control.threshold)
    truths = rng.standard_normal(20_000)
    rates = ndtr((limit - math.sqrt(common) * truths) / math.sqrt(1 - common))
    low, high = control.interval
    lowest_rate = 0.0 if high >= 1e4 * budget else 1 / high  # such an upper limit stands for practically never
    assert np.mean((rates <= 1 / low) & (rates >= lowest_rate)) > 0.9
    if common == 0.0:
        assert high / low < 50.0


def test_stretches_count_only_alarms_that_begin_in_them() -> None:
    """Alarms that last are counted as often in stretches as in long streams, without those that began earlier."""
    rng = np.random.default_rng(6)
    noise = rng.standard_normal((400, 1_040))
    smooth = np.stack([np.convolve(row, np.ones(40) / math.sqrt(40), "valid") for row in noise])
    p_values = ndtr(smooth)[:, :1_000]
    short, long = StretchRates(p_values[:, :20], 1, 3), StreamRates(p_values, 1, 3)
    cut = StretchRates(p_values.reshape(-1, 20), 1, 3)
    assert cut.rate(0.05) == pytest.approx(long.rate(0.05), rel=0.05)
    assert short.rate(0.05) == pytest.approx(long.rate(0.05), rel=0.35)
