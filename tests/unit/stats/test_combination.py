"""The combination keeps the order that its parts agree on, and lets one part speak for all."""

from __future__ import annotations

import numpy as np

from driftwatch.stats.combination import fit_combination


def null(n: int = 20_000) -> np.ndarray:
    rng = np.random.default_rng(0)
    shared = rng.standard_normal(n)
    return np.column_stack([shared, 0.9 * shared + 0.4 * rng.standard_normal(n), rng.exponential(size=n)])


def test_more_drift_in_any_part_is_more_drift() -> None:
    combination = fit_combination(null())
    base = combination(np.zeros((1, 3)))
    for part in range(3):
        moved = np.zeros((1, 3))
        moved[0, part] = 4.0
        assert combination(moved) > base


def test_one_part_far_off_outweighs_all_parts_a_little_off() -> None:
    combination = fit_combination(null())
    alone, together = np.array([[0.0, 0.0, 14.0]]), np.array([[1.0, 1.0, 1.0]])
    assert combination(alone) > combination(together)
