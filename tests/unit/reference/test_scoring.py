"""A sample has one score, however the stream was cut."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
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


def test_parts_add_up_and_p_values_are_uniform(reference: Reference) -> None:
    points = Scorer(reference).scores(waves(1_500, seed=4))
    np.testing.assert_allclose(points.location + points.scale + points.dependence, points.score)
    # The bank of 1,000 is a sample too: 0.08 is the two-sample distance that chance passes once in a thousand.
    assert stats.kstest(points.p_value, "uniform").statistic < 0.08


def test_drifted_samples_score_higher(reference: Reference) -> None:
    scorer = Scorer(reference)
    plain, moved = scorer.scores(waves(300, seed=5)), scorer.scores(shuffled_rows(waves(300, seed=6)))
    assert np.median(moved.p_value) < np.median(plain.p_value)


def test_extreme_samples_stay_finite(reference: Reference) -> None:
    points = Scorer(reference).scores(np.full((3, 1, 8, 8), 255, dtype=np.float32))
    assert np.isfinite(points.score).all()
    assert (points.p_value < 0.05).all()
