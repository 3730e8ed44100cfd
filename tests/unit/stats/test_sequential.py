"""The false-alarm budget is met on streams that the threshold was not set on."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.stats.sequential import calibrate_procedure, control_for, episodes, sliding_sums
from tests.gaussian import draw, fitted

SHAPES = ((2, 3), (1, 4))


def test_sliding_sums() -> None:
    panes = np.random.default_rng(0).standard_normal((20, 7))
    expected = np.stack([panes[i : i + 4].sum(0) for i in range(17)])
    np.testing.assert_allclose(sliding_sums(panes, 4), expected, atol=1e-12)


@pytest.mark.parametrize("budget", [2_000.0, 50_000.0])
def test_overlapping_windows_keep_the_budget_on_fresh_streams(budget: float) -> None:
    rng = np.random.default_rng(0)

    reference = fitted(rng, SHAPES, 40_000)

    def bank(n: int) -> np.ndarray:
        return reference.summaries(draw(rng, n, SHAPES))

    procedure = calibrate_procedure(
        bank(20_000).astype(np.float32),
        reference.layout,
        [20, 100],
        10,
        budget=budget,
        resolve_after=3,
        samples=200_000,
    )
    alarms = samples = 0
    for _ in range(10):
        each = bank(100_000)
        panes = each.reshape(-1, 10, each.shape[1]).sum(1)
        p_values = [
            procedure.nulls[size].test(sliding_sums(panes, size // 10)[10 - size // 10 :]).p_values["combined"]
            for size in (20, 100)
        ]
        alarms += episodes(np.min(p_values, axis=0), procedure.control.threshold, 3)
        samples += len(each)
    expected = samples / budget
    # Poisson spread of the count, and the threshold's own uncertainty beside it.
    assert abs(alarms - expected) < 4 * np.sqrt(expected) + 0.35 * expected


@pytest.mark.parametrize(
    ("size", "budget", "said"),
    [(20, 100.0, ()), (20, 1e6, ("fitted tail",)), (200, 100.0, ("large beside the 300 samples",))],
)
def test_it_says_what_a_calibration_rests_on(size: int, budget: float, said: tuple[str, ...]) -> None:
    rng = np.random.default_rng(2)
    reference = fitted(rng, SHAPES, 2_000)
    bank = reference.summaries(draw(rng, 300, SHAPES)).astype(np.float32)
    procedure = calibrate_procedure(bank, reference.layout, [size], 10, budget=budget, resolve_after=3, samples=10_000)
    assert len(procedure.remarks) == len(said)
    for remark, words in zip(procedure.remarks, said, strict=True):
        assert words in remark


def test_a_budget_beyond_the_simulation_says_by_how_much() -> None:
    p = np.random.default_rng(0).uniform(size=10_000)
    control = control_for(p, step=1, budget=1e6, resolve_after=1)
    assert control.extrapolated == pytest.approx(1e6 / (10_000 / 40))
    # Independent uniform p-values alarm once per 1 / threshold steps.
    assert control.threshold == pytest.approx(1e-6, rel=1.0)


def test_bisection_meets_the_budget_within_the_simulation() -> None:
    p = np.random.default_rng(1).uniform(size=100_000)
    control = control_for(p, step=10, budget=10_000, resolve_after=1)
    assert control.extrapolated == 1.0
    assert control.observed == pytest.approx(10_000, rel=0.02)
    assert control.threshold == pytest.approx(1e-3, rel=0.35)
