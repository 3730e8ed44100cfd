"""A random order gives a warning as rarely as stated; a drift within the data is found and located."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.reference.order import ORDERS, SLICES, examine_order
from tests.gaussian import Gaussian, draw, fitted

SHAPES = ((4, 3), (1, 6))
COUNT, TRIALS = 600, 80


@pytest.fixture(scope="module")
def gaussian() -> Gaussian:
    return fitted(np.random.default_rng(0), SHAPES)


def test_false_warnings_are_as_rare_as_stated(gaussian: Gaussian) -> None:
    rng = np.random.default_rng(1)
    p_values = []
    for trial in range(TRIALS):
        summaries = gaussian.summaries(draw(rng, COUNT, SHAPES))
        p_values.append(examine_order(summaries, gaussian.layout, seed=trial).p_value)
    # If p-values are uniform, more than 4 of 80 are below 1 %, or more than 27 below 20 %, once in a thousand times.
    assert np.sum(np.array(p_values) <= 0.01) <= 4
    assert 6 <= np.sum(np.array(p_values) <= 0.2) <= 27
    assert min(p_values) >= 1 / ORDERS


@pytest.mark.parametrize(("count", "differs"), [(COUNT, 6), (1_194, 9)])
def test_a_slice_that_differs_is_found(gaussian: Gaussian, count: int, differs: int) -> None:
    rng = np.random.default_rng(2)
    lengths = np.diff(np.arange(SLICES + 1) * count // SLICES)
    parts = [draw(rng, int(n), SHAPES, shift=0.5 if place == differs else 0.0) for place, n in enumerate(lengths)]
    summaries = np.concatenate([gaussian.summaries(part) for part in parts])
    found = examine_order(summaries, gaussian.layout, seed=0)
    assert found.p_value <= 0.01
    assert found.most == differs
    assert found.effects[differs] == max(found.effects)
    assert found.effects[differs] == pytest.approx(0.5 * 0.25 * 18, rel=0.5)
    mixed = examine_order(rng.permutation(summaries), gaussian.layout, seed=0)
    assert mixed.p_value > 0.01


def test_a_slow_trend_is_found(gaussian: Gaussian) -> None:
    rng = np.random.default_rng(3)
    parts = [draw(rng, 1, SHAPES, shift=0.5 * row / COUNT) for row in range(COUNT)]
    summaries = np.concatenate([gaussian.summaries(part) for part in parts])
    assert examine_order(summaries, gaussian.layout, seed=0).p_value <= 0.01


def test_similar_neighbours_are_no_drift(gaussian: Gaussian) -> None:
    rng = np.random.default_rng(4)
    twins = [np.repeat(block, 3, axis=0) for block in draw(rng, COUNT // 3, SHAPES)]
    assert examine_order(gaussian.summaries(twins), gaussian.layout, seed=0).p_value > 0.01


@pytest.mark.parametrize("count", [SLICES, 37, 499])
def test_few_samples_give_no_false_warning(gaussian: Gaussian, count: int) -> None:
    found = examine_order(gaussian.summaries(draw(np.random.default_rng(5), count, SHAPES)), gaussian.layout, seed=0)
    assert 0.01 < found.p_value <= 1.0
    assert len(found.effects) == SLICES
