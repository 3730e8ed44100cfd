"""A short run of the benchmark of flapping: a drift is one alert, or two if it comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.flapping import (
    BEFORE,
    DIM,
    SIZES,
    STEP,
    Found,
    Life,
    Material,
    episodes,
    false_alarms,
    live,
    rules,
)
from benchmarks.growth import reference_of
from driftwatch.data.schema import VectorSchema
from driftwatch.stream.policy import Policy

STREAMS = 4
POLICY = Policy(threshold=1e-6, min_effect=0.0, resolve_after=3, severity={"warning": 0.0})
FORMER, PRESENT = "3 tests above 0.01 (former rule)", "current rule"


@pytest.fixture(scope="module")
def material() -> Material:
    rng = np.random.default_rng(5)
    clean, foreign = rng.standard_normal((8_000, DIM)), rng.standard_normal((4_000, DIM))
    foreign[:, 0] += 1.5
    return Material(reference_of(VectorSchema(dim=DIM), 4_000), clean, foreign, "1 per 1e5 samples")


@pytest.mark.parametrize(
    "name",
    ["steady, 14%", "25% from the start", "batches of 50, one in 1,000", "steady, 35%, min_effect 1 of it"],
)
def test_a_drift_is_not_a_series_of_alerts(material: Material, name: str) -> None:
    episode, rng = episodes()[name], np.random.default_rng(1)
    streams = [material.stream(episode.share, rng) for _ in range(STREAMS)]
    least = episode.least * float(
        np.median([each.effects[BEFORE // STEP : episode.over // STEP, -1] for each in streams])
    )
    chosen = rules(replace(material.standard.policy, min_effect=least))
    lives = {rule: [live(chosen[rule], each, episode.over) for each in streams] for rule in (FORMER, PRESENT)}
    assert all(1 <= life.alerts <= 2 for life in lives[PRESENT])
    assert sum(life.alerts for life in lives[PRESENT]) < sum(life.alerts for life in lives[FORMER])
    # Patience is three of the longest windows; one more may still hold samples of the drift.
    assert all(life.late is None or life.late <= 4 * SIZES[-1] for life in lives[PRESENT])


def test_alerts_and_their_time_are_counted() -> None:
    """One alarm of ten steps within a drift, and one long after it."""
    p_values = np.full((300, len(SIZES)), 0.5)
    p_values[50:60, 0] = p_values[280, 0] = 1e-9
    found = Found(p_values, np.ones_like(p_values), np.zeros(len(p_values), dtype=bool))
    policy = replace(POLICY, patience=0)
    assert live(policy, found, over=550) == Life(1, STEP * (60 + policy.quiet_tests) - 550)
    assert false_alarms(policy, [found]) == (2, STEP * (10 + 1 + 2 * (policy.quiet_tests - 1)) / 2)
