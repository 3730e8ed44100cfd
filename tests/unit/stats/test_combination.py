"""The combination preserves the order on which its parts agree, and a single coordinate can be decisive."""

from __future__ import annotations

import numpy as np
from scipy.stats import kstest, rankdata

from driftwatch.stats.combination import Combination, Coordinate, fit_combination

ALONE = tuple(Coordinate((column,)) for column in range(3))
TOGETHER = (Coordinate((0, 1)), Coordinate((2,)))


def null(n: int = 20_000) -> np.ndarray:
    rng = np.random.default_rng(0)
    shared = rng.standard_normal(n)
    return np.column_stack([shared, 0.9 * shared + 0.4 * rng.standard_normal(n), rng.exponential(size=n)])


def auroc(combination: Combination, plain: np.ndarray, moved: np.ndarray) -> float:
    ranks = rankdata(np.concatenate([combination(plain), combination(moved)]))
    return float((ranks[len(plain) :].mean() - (len(moved) + 1) / 2) / len(plain))


def test_more_drift_in_any_part_is_more_drift() -> None:
    for coordinates in (ALONE, TOGETHER):
        combination = fit_combination(null(), coordinates)
        base = combination(np.zeros((1, 3)))
        for part in range(3):
            moved = np.zeros((1, 3))
            moved[0, part] = 4.0
            assert combination(moved) > base


def test_one_extreme_part_outweighs_small_drifts_in_all() -> None:
    combination = fit_combination(null(), ALONE)
    alone, together = np.array([[0.0, 0.0, 14.0]]), np.array([[1.0, 1.0, 1.0]])
    assert combination(alone) > combination(together)


def test_grouping_statistics_into_one_coordinate_helps_the_others() -> None:
    rng = np.random.default_rng(1)
    drawn, plain, moved = (rng.standard_normal((n, 5)) for n in (20_000, 10_000, 10_000))
    moved[:, 0] += 1.2
    apart = fit_combination(drawn, tuple(Coordinate((column,)) for column in range(5)))
    joined = fit_combination(drawn, (Coordinate((0,)), Coordinate((1, 2, 3, 4))))
    doubled = fit_combination(drawn, (Coordinate((0,), 2.0), Coordinate((1, 2, 3, 4))))
    found = [auroc(combination, plain, moved) for combination in (apart, joined, doubled)]
    assert found[0] + 0.02 < found[1] < found[2] - 0.01


def test_a_sum_of_correlated_statistics_has_a_uniform_p_value() -> None:
    combination = fit_combination(null(), (Coordinate((0, 1)),))
    surprise = combination(null())
    assert kstest(np.exp(-surprise), "uniform").statistic < 0.01


def test_a_constant_statistic_is_ignored() -> None:
    drawn = np.column_stack([null(), np.full(20_000, 7.0)])
    without = fit_combination(drawn[:, :3], TOGETHER)
    coordinates = (Coordinate((0, 1, 3)), Coordinate((2,)), Coordinate((3,), 5.0))
    np.testing.assert_array_equal(fit_combination(drawn, coordinates)(drawn[:100]), without(drawn[:100, :3]))


def test_a_window_has_the_same_surprise_alone_and_among_many() -> None:
    drawn = null()
    combination = fit_combination(drawn, (Coordinate((0, 2), 2.0), Coordinate((1,))))
    alone = np.concatenate([combination(row[None]) for row in drawn[:200]])
    np.testing.assert_array_equal(alone, combination(drawn[:200]))
