"""A sample has the same score however the stream is split into batches."""

from __future__ import annotations

import copy
from threading import Lock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.summary import on_grid
from tests.synthetic import shuffled_rows, waves


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 90), max_size=5))
def test_scores_do_not_depend_on_the_batch(reference: Reference, cuts: list[int]) -> None:
    samples = waves(90, seed=3)
    scorer = Scorer(reference)
    whole = scorer([samples[start : start + 10] for start in range(0, 90, 10)])
    pieces = []
    for start, end in zip([0, *sorted(set(cuts))], [*sorted(set(cuts)), 90], strict=True):
        pieces += scorer([samples[i : i + 10] for i in range(0, 90, 10) if start <= i < end])
    for one, other in zip(pieces, whole, strict=True):
        np.testing.assert_array_equal(one.summary, other.summary)
        np.testing.assert_array_equal(one.scores, other.scores)


def test_a_copy_does_not_take_recorded_gpu_graphs_along(reference: Reference) -> None:
    scored = copy.copy(reference)
    scored._recorded[torch.Size([1]), torch.float32] = Lock()  # type: ignore[assignment]  # cannot be copied either
    again = copy.deepcopy(scored)
    assert again._recorded == {}
    assert len(scored._recorded) == 1
    assert again.version == reference.version


def test_parts_add_up_and_p_values_are_uniform(reference: Reference) -> None:
    points = Scorer(reference).scores(waves(1_500, seed=4))
    np.testing.assert_allclose(points.location + points.scale + points.dependence, points.score)
    # The bank of 1,000 is a sample too: by chance the two-sample distance exceeds 0.08 once in a thousand times.
    assert stats.kstest(points.p_value, "uniform").statistic < 0.08


def test_drifted_samples_score_higher(reference: Reference) -> None:
    scorer = Scorer(reference)
    plain, moved = scorer.scores(waves(300, seed=5)), scorer.scores(shuffled_rows(waves(300, seed=6)))
    assert np.median(moved.p_value) < np.median(plain.p_value)


def test_extreme_samples_stay_finite(reference: Reference) -> None:
    points = Scorer(reference).scores(np.full((3, 1, 8, 8), 255, dtype=np.float32))
    assert np.isfinite(points.score).all()
    assert (points.p_value < 0.05).all()


@pytest.mark.parametrize("size", [1, 2, 20])
def test_rounding_the_sums_of_panes_changes_no_result(reference: Reference, size: int) -> None:
    null, rng = reference.window_null(size, count=500), np.random.default_rng(size)
    drawn = [reference.bank[rng.integers(0, len(reference.bank), size)].astype(np.float64) for _ in range(200)]
    exact = null.test(np.stack([each.sum(0) for each in drawn]))
    rounded = null.test(np.stack([sum(map(on_grid, each)) for each in drawn]))
    for name, p_values in exact.p_values.items():
        np.testing.assert_allclose(np.log(rounded.p_values[name]), np.log(p_values), atol=0.02, err_msg=name)
    np.testing.assert_allclose(rounded.deviations, exact.deviations, atol=0.2)
    np.testing.assert_allclose(rounded.effect, exact.effect, atol=1e-3)
