"""Thresholds keep a budget on p-values that are known to be right, and their interval covers the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftwatch.stats.control import control_for


def test_a_budget_beyond_the_simulation_says_by_how_much() -> None:
    p = np.random.default_rng(0).uniform(size=(1, 20_000))
    control = control_for(p, step=1, budget=1e6, resolve_after=1)
    assert control.extrapolated == pytest.approx(1e6 / (20_000 / 40))
    # Independent uniform p-values alarm once per 1 / threshold steps.
    assert control.threshold == pytest.approx(1e-6, rel=1.0)


def test_bisection_meets_the_budget_within_the_simulation() -> None:
    p = np.random.default_rng(1).uniform(size=(4, 25_000))
    control = control_for(p, step=10, budget=10_000, resolve_after=1)
    assert control.extrapolated == 1.0
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


def test_streams_that_differ_widen_the_interval() -> None:
    """Rates that vary by a factor of 1.5 either way from one bank to another do so at other thresholds too."""
    rng = np.random.default_rng(3)
    alike = rng.uniform(size=(16, 5_000))
    varying = alike / np.exp(math.log(1.5) * rng.standard_normal((16, 1)))
    widths = [math.log(control_for(p, 1, 100.0, 0).interval[1] / 100.0) for p in (alike, varying)]
    assert widths[0] < 0.5
    assert widths[1] > math.log(1.5) * 1.5
