"""Statistics of single columns: their distribution under the reference, and the drift that each detects."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtri

from driftwatch.stats.descriptors import MARGINALS, VALUES, edges_for, vector_descriptors
from driftwatch.stats.hotelling import Groups, fit_groups
from driftwatch.stats.single_columns import ColumnStatistic, apart, moved_alone

COLUMNS, BINS, SIZE = 3, 8, 50
NO_ATOMS = np.empty((0, 2))
CORRELATION = 0.95
"""Between the first two columns."""


def rows(seed: int, n: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((n, COLUMNS))
    x[:, 1] = CORRELATION * x[:, 0] + np.sqrt(1 - CORRELATION**2) * x[:, 1]
    return x


def described(x: np.ndarray) -> dict[str, np.ndarray]:
    return dict(vector_descriptors(x, np.eye(COLUMNS), edges_for([NO_ATOMS] * COLUMNS, BINS)))


@pytest.fixture(scope="module")
def groups() -> Groups:
    return fit_groups(described(rows(1, 40_000)), described(rows(2, 40_000)), (VALUES,))


def measured(groups: Groups, name: str, make: object, width: int, x: np.ndarray) -> np.ndarray:
    group = next(each for each in groups.each if each.name == name)
    statistic = make(0, group.whitener, width)  # type: ignore[operator]
    assert isinstance(statistic, ColumnStatistic)
    sums = group.standard(described(x)).reshape(-1, SIZE, len(group.whitener)).sum(1)
    return statistic(sums, np.full(len(sums), float(SIZE)))


def test_each_column_is_chi_squared_under_the_reference(groups: Groups) -> None:
    group = next(each for each in groups.each if each.name == MARGINALS)
    width = BINS - 1
    forms = moved_alone(0, group.whitener, width).forms
    sums = group.standard(described(rows(3, 100_000))).reshape(-1, SIZE, len(forms)).sum(1)
    for column in range(COLUMNS):
        alone = ColumnStatistic(0, forms[:, column * width : (column + 1) * width], width)
        found = alone(sums, np.full(len(sums), float(SIZE)))
        assert stats.kstest(found, stats.chi2(width).cdf).pvalue > 1e-3


def test_a_column_that_leaves_its_twin_is_detected_though_its_own_distribution_hardly_moves(groups: Groups) -> None:
    shift = np.array([0.25, 0.0, 0.0])
    plain, moved = rows(4, 20_000), rows(5, 20_000) + shift
    alone, own = (
        np.mean(
            measured(groups, name, make, width, moved) > np.quantile(measured(groups, name, make, width, plain), 0.99)
        )
        for name, make, width in ((VALUES, moved_alone, 1), (MARGINALS, apart, BINS - 1))
    )
    assert alone > 0.9
    assert own < 0.5


def test_the_distance_is_that_of_distribution_functions(groups: Groups) -> None:
    x = rows(6, SIZE) + np.array([0.0, 0.0, 1.0])
    found = measured(groups, MARGINALS, apart, BINS - 1, x)[0]
    below = (x[:, :, None] <= ndtri(np.arange(1, BINS) / BINS)).mean(0) - np.arange(1, BINS) / BINS
    assert found == pytest.approx(SIZE * np.square(below).mean(1).max(), rel=0.1)


def test_a_categorical_column_is_tested_as_pearson_s_chi_squared_does() -> None:
    usual, drifted = np.array([0.7, 0.2, 0.1]), np.array([0.7, 0.1, 0.2])
    ends = np.cumsum(usual)
    edges = edges_for([np.stack([ends - usual, ends], axis=1), NO_ATOMS], BINS)

    def spread(shares: np.ndarray, seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        codes = rng.choice(3, n, p=shares)
        features = np.stack([ndtri(ends[codes] - usual[codes] * rng.random(n)), rng.standard_normal(n)], axis=1)
        return codes, vector_descriptors(features, np.eye(2), edges)[MARGINALS]

    (_, fitting), (_, held_out) = (spread(usual, seed, 40_000) for seed in (1, 2))
    group = fit_groups({MARGINALS: fitting}, {MARGINALS: held_out}, (MARGINALS,)).each[0]
    codes, shares = spread(drifted, 3, 400)
    found = moved_alone(0, group.whitener, BINS - 1)(
        group.standard({MARGINALS: shares}).sum(0)[None], np.array([400.0])
    )
    counted = stats.chisquare(np.bincount(codes), 400 * usual).statistic
    assert found[0] == pytest.approx(counted, rel=0.1)
