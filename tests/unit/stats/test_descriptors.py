"""Descriptors, compared with their definitions, and tested for what they must not respond to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from driftwatch.stats.descriptors import (
    INTENSITY,
    LAYOUT,
    MARGINALS,
    PAIRS,
    SPECTRUM,
    VALUES,
    bins_for,
    edges_for,
    image_descriptors,
    latent_moments,
    vector_descriptors,
)

NO_ATOMS = np.empty((0, 2))
SHAPES = [(1, 28, 28), (3, 32, 32), (3, 9, 14), (64, 8, 8), (1, 1, 5), (1, 2, 2)]


def images(shape: tuple[int, ...], count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.float32)


def described(x: np.ndarray) -> dict[str, np.ndarray]:
    return dict(image_descriptors(x, low=0.0, high=255.0, noise=1.0))


@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_any_size_are_described_independently(shape: tuple[int, ...]) -> None:
    x = images(shape)
    whole, alone = described(x), described(x[2:3])
    for name, values in whole.items():
        assert np.isfinite(values).all(), name
        assert values.shape[1] <= 192, name
        np.testing.assert_array_equal(values[2:3], alone[name])


def test_the_layout_is_the_mean_tone_of_each_cell() -> None:
    x = images((1, 32, 16))
    tones = np.sqrt(x.astype(np.float64) / 255.0)
    np.testing.assert_allclose(described(x)[LAYOUT], tones.reshape(6, 8, 4, 8, 2).mean((2, 4)).reshape(6, 64))


def test_the_intensity_holds_the_share_of_each_level() -> None:
    x = np.zeros((1, 1, 4, 4), dtype=np.float32)
    x[0, 0, 0] = 255.0
    squares = np.square(described(x)[INTENSITY][0])
    assert (squares[0], squares[-1], squares.sum()) == pytest.approx((0.75, 0.25, 1.0))


def test_a_shifted_image_has_the_same_intensity_and_nearly_the_same_spectrum() -> None:
    x = images((1, 32, 32))
    before, after = described(x), described(np.roll(x, 16, axis=3))
    np.testing.assert_allclose(before[INTENSITY], after[INTENSITY])
    np.testing.assert_allclose(before[SPECTRUM], after[SPECTRUM], atol=0.5)
    assert np.abs(before[LAYOUT] - after[LAYOUT]).max() > 0.05


def test_gain_moves_every_energy_by_twice_its_logarithm() -> None:
    x = images((1, 32, 32))
    fine = {"low": 0.0, "high": 255.0, "noise": 1e-3}
    moved = image_descriptors(x / 2, **fine)[SPECTRUM] - image_descriptors(x, **fine)[SPECTRUM]
    absolute, squared = -np.log(2), -2 * np.log(2)
    assert np.minimum(np.abs(moved - absolute), np.abs(moved - squared)).max() < 1e-4


def test_latent_moments_are_means_and_products() -> None:
    rng = np.random.default_rng(1)
    u = rng.standard_normal((5, 7, 3))
    found = latent_moments([u])
    rows, others = np.triu_indices(3)
    products = np.einsum("npi,npj->nij", u, u) / 7
    np.testing.assert_allclose(found, np.concatenate([u.mean(1), products[:, rows, others]], axis=1))


def test_long_sub_vectors_keep_squares_only() -> None:
    assert latent_moments([np.ones((2, 4, 48))]).shape == (2, 48 + 16 * 17 // 2 + 32)


def test_rows_have_values_pairs_and_marginals() -> None:
    x = np.random.default_rng(2).standard_normal((20_000, 3))
    found = vector_descriptors(x, np.eye(3), edges_for([NO_ATOMS] * 3, 8))
    np.testing.assert_array_equal(found[VALUES], x)
    np.testing.assert_allclose(found[PAIRS][:, 1], x[:, 0] * x[:, 1])
    np.testing.assert_allclose(found[MARGINALS].mean(0), 1 / 8, atol=0.01)


def test_many_columns_are_projected() -> None:
    x = np.random.default_rng(3).standard_normal((10, 100))
    found = vector_descriptors(x, np.eye(100)[:, :5], edges_for([NO_ATOMS] * 100, 0))
    np.testing.assert_array_equal(found[VALUES], x[:, :5])
    assert MARGINALS not in found
    assert found[PAIRS].shape == (10, 15)


def test_column_bins_end_between_atoms_and_not_within_them() -> None:
    """Atoms as intervals in [0, 1], and the ends of eight bins."""
    columns: dict[str, tuple[list[list[float]], list[float]]] = {
        "no single values": ([], [1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8, 7 / 8]),
        "three categories": ([[0, 0.7], [0.7, 0.9], [0.9, 1]], [0, 0, 0.7, 0.7, 0.7, 0.7, 0.9]),
        "rain, mostly none": ([[0, 0.6]], [0, 0, 0.6, 0.6, 0.6, 6 / 8, 7 / 8]),
        "a rare one between": ([[0, 0.13], [0.13, 0.14], [0.14, 1]], [0.13, 0.13, 0.13, 0.13, 0.13, 0.13, 0.13]),
        "a rare last one": ([[0, 0.49], [0.49, 0.98], [0.98, 1]], [0, 0.49, 0.49, 0.49, 0.49, 0.49, 0.49]),
        "one value": ([[0, 1]], [0] * 7),
    }
    edges = edges_for([np.reshape(atoms, (-1, 2)) for atoms, _ in columns.values()], 8)
    for name, found, (_, cuts) in zip(columns, ndtr(edges), columns.values(), strict=True):
        np.testing.assert_allclose(found, cuts, atol=1e-12, err_msg=name)
    assert edges_for([NO_ATOMS] * 3, 0).shape == (3, 0)


def test_with_more_columns_there_are_fewer_bins() -> None:
    found = [bins_for(columns) for columns in (1, 16, 17, 100, 101)]
    assert found == [8, 8, 4, 4, 0]
