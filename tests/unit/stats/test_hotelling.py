"""Hotelling's statistic, compared with its definition and its known null; no single sample decides a window."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from driftwatch.stats.descriptors import VALUES
from driftwatch.stats.hotelling import AGREEMENT, LOCATION, MOST_SURPRISE, Groups, fit_groups, hotelling
from driftwatch.stats.summary import Described, Layout, Whitened, summarise_each

DIM = 5
MIX = np.random.default_rng(0).standard_normal((DIM, DIM)) * np.array([10.0, 1.0, 1.0, 0.1, 0.1])


def descriptors(seed: int, n: int, shift: float = 0.0) -> dict[str, np.ndarray]:
    return {VALUES: np.random.default_rng(seed).standard_normal((n, DIM)) @ MIX + 3.0 + shift}


@pytest.fixture(scope="module")
def groups() -> Groups:
    return fit_groups(descriptors(1, 50_000), descriptors(2, 50_000), (VALUES,))


def windows(groups: Groups, described: dict[str, np.ndarray], size: int) -> np.ndarray:
    standard = groups.standard(described)
    layout = Layout(dim=1, blocks=((1, 1),), axes=1, groups=groups.shapes)
    n = len(standard[0])
    latents = Whitened(np.ones((n, 1)), np.ones((n, 1)), (np.ones((n, 1, 1)),), np.zeros(n))
    each = summarise_each(latents, layout, Described(standard, groups.surprise(standard)))
    return hotelling(each.reshape(-1, size, each.shape[1]).sum(1), layout)


def test_hotelling_is_chi_squared_under_the_reference(groups: Groups) -> None:
    found = windows(groups, descriptors(3, 20_000), 20)[:, 0]
    assert stats.kstest(found, stats.chi2(DIM).cdf).pvalue > 1e-3


def test_hotelling_is_the_squared_mahalanobis_distance_of_the_mean(groups: Groups) -> None:
    described = descriptors(4, 2_000, shift=0.05)
    found = windows(groups, described, 20)[:, 0]
    means = described[VALUES].reshape(-1, 20, DIM).mean(1) - 3.0
    expected = 20 * np.einsum("mi,ij,mj->m", means, np.linalg.inv(MIX.T @ MIX), means)
    np.testing.assert_allclose(found, expected, rtol=0.1, atol=0.5)


def test_location_weights_the_directions_in_which_the_reference_varies_most(groups: Groups) -> None:
    assert [name for name, _ in groups.shapes] == [VALUES, LOCATION, AGREEMENT]
    described = descriptors(5, 2_000)
    (location,) = windows(groups, described, 2_000)[:, 1]
    mean = described[VALUES].mean(0) - 3.0
    assert location == pytest.approx(2_000 * mean @ mean / np.trace(MIX.T @ MIX), rel=0.1, abs=0.05)


def test_agreement_is_the_mean_cosine_of_pairs(groups: Groups) -> None:
    described = descriptors(5, 2_000, shift=2.0)
    found = windows(groups, described, 10)[:, 2]
    centred = (described[VALUES] - 3.0).reshape(-1, 10, DIM)
    directions = centred / np.linalg.norm(centred, axis=2, keepdims=True)
    cosines = (np.square(directions.sum(1)).sum(1) - 10) / 90
    # One in a thousand is so close to the mean that its direction does not count in full.
    np.testing.assert_allclose(
        np.quantile(found, [0.1, 0.5, 0.9]), np.quantile(1 + 9 * cosines, [0.1, 0.5, 0.9]), rtol=0.05
    )


def test_each_group_has_the_same_weight_in_the_location() -> None:
    held_out = {"a": descriptors(1, 5_000)[VALUES], "b": 1e3 * descriptors(2, 5_000)[VALUES][:, :2]}
    standard = fit_groups(held_out, held_out, ("a", "b")).standard(held_out)
    location = standard[-2]
    assert location.shape[1] == DIM + 2
    for part in (location[:, :DIM], location[:, DIM:]):
        assert np.square(part).sum(1).mean() == pytest.approx(1.0, abs=0.02)


def test_surprise_is_exponential_and_bounded(groups: Groups) -> None:
    surprise = groups.surprise(groups.standard(descriptors(6, 20_000)))
    assert surprise.mean() == pytest.approx(1.0, abs=0.05)
    outliers = groups.surprise(groups.standard(descriptors(7, 10, shift=1e6)))
    np.testing.assert_allclose(outliers, MOST_SURPRISE)


def test_surprise_survives_rounding_to_float32_for_rows_of_few_kinds() -> None:
    kinds = np.random.default_rng(0).standard_normal((4, DIM))
    rows = {VALUES: kinds[np.random.default_rng(1).integers(0, 4, 2_000)]}
    groups = fit_groups(rows, rows, (VALUES,))
    exact = groups.standard({VALUES: kinds})
    kept = tuple(y.astype(np.float32).astype(np.float64) for y in exact)
    np.testing.assert_allclose(groups.surprise(kept), groups.surprise(exact), atol=1e-3)


def test_an_outlier_counts_no_more_than_the_reference_s_own(groups: Groups) -> None:
    for far in (1e2, 1e12):
        standard = groups.standard(descriptors(8, 10, shift=far))
        for y, group in zip(standard, groups.each, strict=True):
            assert np.linalg.norm(y, axis=1) == pytest.approx(group.limit)


def test_a_constant_dimension_has_a_bounded_weight() -> None:
    fitting, held_out = descriptors(1, 5_000), descriptors(2, 5_000)
    for each in (fitting, held_out):
        each[VALUES] = np.column_stack([each[VALUES], np.zeros(5_000)])
    found = fit_groups(fitting, held_out, (VALUES,))
    assert np.isfinite(found.each[0].whitener).all()
    nearly = {VALUES: held_out[VALUES][:100] + np.array([0.0] * DIM + [1e-3])}
    np.testing.assert_allclose(
        found.each[0].standard(nearly), found.each[0].standard({VALUES: held_out[VALUES][:100]}), atol=0.01
    )


def test_groups_are_rebuilt_from_their_arrays(groups: Groups) -> None:
    rebuilt = Groups.from_arrays(groups.to_arrays())
    described = descriptors(9, 100)
    for before, after in zip(groups.standard(described), rebuilt.standard(described), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(
        groups.surprise(groups.standard(described)), rebuilt.surprise(rebuilt.standard(described))
    )
