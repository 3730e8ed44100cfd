"""Geometry, compared with its definition over all pairs, and with its values for random directions."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.stats.geometry import geometry
from driftwatch.stats.summary import Layout, Whitened, merge, summarise_each

LAYOUT = Layout(dim=12, blocks=((1, 12),), axes=5)


def window(z: np.ndarray) -> np.ndarray:
    return merge(summarise_each(Whitened(z, z[:, :5], (z[:, None, :],), np.zeros(len(z))), LAYOUT))[None]


def test_geometry_is_the_mean_over_pairs() -> None:
    z = np.random.default_rng(0).standard_normal((9, 12)) + 0.3
    measured = geometry(window(z), LAYOUT)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    axes = z[:, :5] / np.linalg.norm(z[:, :5], axis=1, keepdims=True)
    pairs = ~np.eye(9, dtype=bool)
    assert measured.cosine[0] == pytest.approx((unit @ unit.T)[pairs].mean())
    assert measured.location[0] == pytest.approx((z @ z.T)[pairs].mean() / 12)
    assert measured.axes[0] == pytest.approx(np.square(axes @ axes.T)[pairs].mean())
    assert measured.radius[0] == pytest.approx(np.square(z).sum(1).mean() / 12)


def test_random_directions_have_the_null_values() -> None:
    z = np.random.default_rng(1).standard_normal((20_000, 12))
    measured = geometry(window(z), LAYOUT)
    assert measured.cosine[0] == pytest.approx(0.0, abs=1e-3)
    assert measured.location[0] == pytest.approx(0.0, abs=1e-3)
    assert measured.axes[0] == pytest.approx(1 / 5, abs=2e-3)
    assert measured.radius[0] == pytest.approx(1.0, abs=0.01)


def test_one_sample_has_no_pairs() -> None:
    measured = geometry(window(np.ones((1, 12))), LAYOUT)
    assert (measured.cosine[0], measured.location[0], measured.axes[0]) == (0.0, 0.0, 1 / 5)
