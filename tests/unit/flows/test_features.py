"""Features of columns: each standard normal under the reference, and far from it where something changed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import kstest

from driftwatch.flows import features
from driftwatch.flows.features import ColumnKind, FeatureTransform, reached

ROWS = 8_000
Array = NDArray[np.float64]


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def features_of(transform: FeatureTransform, raw: Array) -> Array:
    """Features with content noise; the second, continuous column of `beside` makes rows differ."""
    return transform(torch.from_numpy(raw), noise="content").numpy()


def beside(column: Array) -> Array:
    return np.column_stack([column, np.random.default_rng(11).standard_normal(len(column))])


def fitted(column: Array, kind: ColumnKind = "numeric", cardinality: int = 0) -> FeatureTransform:
    return FeatureTransform.fit(beside(column), [kind, "numeric"], cardinalities=[cardinality, 0])


COLUMNS: dict[str, tuple[ColumnKind, int, Array]] = {
    "gaussian": ("numeric", 0, rng().normal(3.0, 2.0, 2 * ROWS)),
    "far from zero": ("numeric", 0, 1.7e9 + rng().standard_normal(2 * ROWS)),
    "cauchy": ("numeric", 0, rng().standard_cauchy(2 * ROWS)),
    "log-normal": ("numeric", 0, rng().lognormal(0.0, 3.0, 2 * ROWS)),
    "60 % zeros": ("numeric", 0, np.where(rng().random(2 * ROWS) < 0.6, 0.0, rng().exponential(1.0, 2 * ROWS))),
    "two values": ("numeric", 0, (rng().random(2 * ROWS) < 0.3).astype(float)),
    "constant": ("numeric", 0, np.full(2 * ROWS, 42.0)),
    "counts": ("integer", 0, rng().poisson(2.0, 2 * ROWS).astype(float)),
    "large integers": ("integer", 0, rng().integers(0, 100_000, 2 * ROWS).astype(float)),
    "categories": ("category", 4, rng().choice(4, 2 * ROWS, p=[0.7, 0.2, 0.08, 0.02]).astype(float)),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_held_out_rows_are_standard_normal(name: str) -> None:
    kind, cardinality, column = COLUMNS[name]
    rows = beside(column)
    transform = FeatureTransform.fit(rows[:ROWS], [kind, "numeric"], cardinalities=[cardinality, 0])
    z = features_of(transform, rows[ROWS:])
    assert kstest(z[:, 0], "norm").statistic < 0.025  # between two samples of 8,000, 0.022 is exceeded once in 25 times
    assert abs(z[:, 0].mean()) < 0.04
    assert z[:, 0].std() == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("name", ["gaussian", "far from zero", "cauchy", "log-normal", "60 % zeros"])
def test_larger_values_never_have_smaller_features(name: str) -> None:
    _, _, column = COLUMNS[name]
    transform = fitted(column[:ROWS])
    centre, reach = np.median(column), np.ptp(column)
    steps = np.concatenate([-np.geomspace(1e6, 1e-9, 500), [0.0], np.geomspace(1e-9, 1e6, 500)])
    grid = np.column_stack([centre + reach * steps, np.zeros(len(steps))])
    assert (np.diff(features_of(transform, grid)[:, 0]) >= 0).all()


@pytest.mark.parametrize("offset", [0.0, 1e6, 1.7e9])
def test_outliers_are_extreme_and_finite_however_far_the_column_is_from_zero(offset: float) -> None:
    transform = fitted(offset + rng().standard_normal(ROWS))
    raw = np.column_stack([offset + np.array([10.0, 100.0, 1e4, 1e300, -1e300]), np.zeros(5)])
    z = features_of(transform, raw)[:, 0]
    assert 6 < z[0] < z[1] < z[2] < z[3]
    assert z[4] < -z[2]
    assert np.abs(z).max() <= 30


def test_the_tails_are_resolved() -> None:
    """Between the 99th percentile and the largest value seen, a Gaussian column keeps its scale."""
    transform = fitted(rng().standard_normal(50_000))
    x = np.array([2.6, 2.9, 3.1, 3.3])
    z = features_of(transform, np.column_stack([x, np.zeros(4)]))[:, 0]
    np.testing.assert_allclose(z, x, atol=0.12)


@pytest.mark.parametrize("constant", [0.0, 1.0, -5e6])
def test_a_constant_that_changes_is_far_away(constant: float) -> None:
    transform = fitted(np.full(ROWS, constant))
    size = max(abs(constant), 1.0)
    raw = beside(constant + size * np.array([0.05, -0.05, 1.0]))
    assert np.abs(features_of(transform, raw)[:, 0]).min() > 6


def test_an_unseen_category_is_in_the_far_tail() -> None:
    kind, cardinality, column = COLUMNS["categories"]
    transform = fitted(column, kind, cardinality)
    z = features_of(transform, beside(np.full(200, float(cardinality))))[:, 0]
    assert z.min() > 3.5


def test_categories_keep_their_order_and_never_overlap() -> None:
    kind, cardinality, column = COLUMNS["categories"]
    transform = fitted(column, kind, cardinality)
    z = [features_of(transform, beside(np.full(300, float(k))))[:, 0] for k in range(cardinality + 1)]
    assert all(low.max() <= high.min() for low, high in pairwise(z))


def with_missing(share: float) -> Array:
    rows = beside(rng().standard_normal(ROWS))
    rows[np.random.default_rng(3).random(ROWS) < share, 0] = np.nan
    return rows


def test_missing_values_have_their_own_indicator() -> None:
    rows = with_missing(0.2)
    transform = FeatureTransform.fit(rows, ["numeric", "numeric"])
    z = features_of(transform, rows)
    assert z.shape == (ROWS, 4)  # two columns, missing in the first, missing elsewhere
    absent = np.isnan(rows[:, 0])
    assert z[absent, 2].min() >= z[~absent, 2].max()
    for feature in z.T:
        assert kstest(feature, "norm").statistic < 0.03
    assert kstest(z[absent, 0], "norm").statistic < 0.05


def test_a_missing_value_is_independent_of_the_other_features() -> None:
    rows = with_missing(0.3)
    z = features_of(FeatureTransform.fit(rows, ["numeric", "numeric"]), rows)
    absent = np.isnan(rows[:, 0])
    assert np.abs(np.corrcoef(z[absent][:, :3], rowvar=False)[~np.eye(3, dtype=bool)]).max() < 0.1


def test_values_missing_in_a_column_that_was_complete_are_noticed() -> None:
    rows = with_missing(0.2)
    transform = FeatureTransform.fit(rows, ["numeric", "numeric"])
    fresh = rows[:200].copy()
    fresh[:, 1] = np.nan
    z = features_of(transform, fresh)
    assert z[:, 3].min() > 3.5
    assert np.abs(z).max() < 10


def test_vectors_have_no_indicators() -> None:
    transform = FeatureTransform.fit(rng().standard_normal((500, 3)), ["numeric"] * 3, missing=False)
    assert transform.dim == 3
    assert features_of(transform, rng().standard_normal((10, 3))).shape == (10, 3)


def test_a_column_that_was_always_missing_is_noticed_when_it_appears() -> None:
    rows = beside(np.full(ROWS, np.nan))
    transform = FeatureTransform.fit(rows, ["numeric", "numeric"])
    appeared = features_of(transform, beside(np.ones(50)))
    assert np.abs(appeared[:, 2]).min() > 3.5  # its indicator
    assert np.isfinite(appeared).all()


def test_random_noise_follows_its_generator() -> None:
    kind, cardinality, column = COLUMNS["categories"]
    transform, raw = fitted(column, kind, cardinality), torch.from_numpy(beside(column[:100]))
    first, second, third = (transform(raw, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_structure_and_state_make_the_same_transform() -> None:
    rows = with_missing(0.2)
    transform = FeatureTransform.fit(rows, ["numeric", "integer"])
    twin = FeatureTransform.from_structure(**transform.structure())
    twin.load_state_dict(transform.state_dict())
    np.testing.assert_array_equal(features_of(twin, rows[:100]), features_of(transform, rows[:100]))


@pytest.mark.parametrize("knots", [1, 2, 7, 232, 256, 300])
def test_reached_equals_a_binary_search(knots: int) -> None:
    drawn = np.sort(rng().integers(0, 2 * knots, (3, knots)).astype(float), axis=1)
    drawn[0, knots // 2 :] = np.inf
    sought = np.concatenate(
        [rng().integers(-1, 2 * knots + 1, (3, 200)), rng().random((3, 200)), [[np.inf]] * 3], axis=1
    )
    found = reached(torch.from_numpy(drawn), torch.from_numpy(sought))
    for row, values, expected in zip(drawn, sought, found.numpy(), strict=True):
        np.testing.assert_array_equal(np.searchsorted(row, values, side="right"), expected)


def test_missing_and_extreme_values_are_the_same_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = with_missing(0.2)
    transform = FeatureTransform.fit(rows, ["numeric", "integer"])
    rows[::7] *= 100
    on_cpu = features_of(transform, rows)
    assert np.abs(on_cpu).max() > 6  # some are extreme
    monkeypatch.setattr(features, "_places", lambda mask: ...)  # as on a GPU
    np.testing.assert_array_equal(features_of(transform, rows), on_cpu)


def test_atoms_are_the_shares_of_single_values() -> None:
    codes, whole = np.array([0, 0, 0, 1] * 2_000), np.array([3, 4, 4, 6] * 2_000)
    rain = np.where(codes, rng().exponential(1.0, len(codes)), 0.0)
    raw = np.column_stack([codes, whole, rain, rng().integers(0, 10**6, len(codes)), rng().standard_normal(len(codes))])
    kinds: list[ColumnKind] = ["category", "integer", "numeric", "integer", "numeric"]
    *found, missing = FeatureTransform.fit(raw, kinds, cardinalities=[2, 0, 0, 0, 0]).atoms()
    np.testing.assert_allclose(found[0][:2], [[0, 0.75], [0.75, 1]], atol=1e-3)
    np.testing.assert_allclose(
        found[1][np.diff(found[1])[:, 0] > 0.01], [[0, 0.25], [0.25, 0.75], [0.75, 1]], atol=1e-2
    )
    np.testing.assert_allclose(found[2][0], [0, 0.75], atol=1e-3)
    assert np.diff(found[2][1:]).max(initial=0.0) < 0.01
    assert len(found[3]) == 0
    assert np.diff(found[4]).max(initial=0.0) < 0.01
    np.testing.assert_allclose(missing[0], [0, 1], atol=1e-3)


def test_spreads_are_in_the_unit_of_each_column_and_ignore_outliers() -> None:
    raw = np.random.default_rng(0).standard_normal((20_000, 4)) * np.array([1.0, 50.0, 1e-3, 1.0])
    raw[:20, 0] = 1e6
    raw[:, 3] = 7.0
    found = FeatureTransform.fit(raw, ["numeric"] * 4, missing=False).spreads
    np.testing.assert_allclose(found[:3], [1.0, 50.0, 1e-3], rtol=0.05)
    assert found[3] == 0.0


def test_numbers_are_bounded_by_twice_the_fitted_range() -> None:
    raw = np.array([[-1.0, 0.0], [0.0, 7.0], [3.0, 7.0]])
    transform = FeatureTransform.fit(raw, ["numeric", "numeric"], missing=False)
    far = torch.tensor([[-1e300, 20.0], [1.5, 7.0], [1e300, -1e300]], dtype=torch.float64)
    np.testing.assert_array_equal(transform.bounded(far), [[-3.0, 10.5], [1.5, 7.0], [5.0, -3.5]])
