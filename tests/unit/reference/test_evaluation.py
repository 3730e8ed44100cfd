"""An evaluation names its detectors, and distinguishes drift from none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from driftwatch.reference.evaluation import REPORTED, auroc, evaluate
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from tests.synthetic import shuffled_rows, waves


@pytest.mark.parametrize(
    ("options", "more"),
    [({}, ()), ({"with_parts": True}, ("moments",)), ({"with_baselines": True}, ("mmd", "ks"))],
)
def test_detectors_are_named(reference: Reference, options: dict[str, bool], more: tuple[str, ...]) -> None:
    moved = {"shuffled": shuffled_rows(waves(400, seed=31)), "none": waves(400, seed=32)}
    rows = list(evaluate(Scorer(reference), waves(400, seed=30), moved, windows=[1, 10], **options))
    assert [row.detector for row in rows] == [*REPORTED, *more] * 4
    combined = {(row.shift, row.window): row.auroc for row in rows if row.detector == "combined"}
    assert combined["shuffled", 10] > 0.95
    assert combined["none", 10] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_auroc_is_the_share_of_pairs_in_order(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    reference, shifted = rng.normal(0, 1, 70).round(decimals), rng.normal(0.5, 1, 40).round(decimals)
    pairs = mannwhitneyu(shifted, reference).statistic
    assert auroc(reference, shifted) == pytest.approx(pairs / (70 * 40), abs=1e-12)


@pytest.mark.parametrize("place", [0, 1])
def test_auroc_of_nan_is_nan(place: int) -> None:
    sides = [np.arange(5.0), np.arange(5.0)]
    sides[place][3] = np.nan
    assert np.isnan(auroc(*sides))
