"""The decomposition, compared with closed forms and with the Kullback-Leibler divergence itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.stats.decomposition import decompose, eliminated_log_det
from driftwatch.stats.summary import Layout, Whitened, merge, summarise_each


def layout_of(length: int, vectors: int = 1) -> Layout:
    return Layout(dim=length * vectors, blocks=((vectors, length),), axes=min(4, length * vectors))


def summaries(sub_vectors: np.ndarray, layout: Layout) -> np.ndarray:
    z = sub_vectors.reshape(len(sub_vectors), -1)
    whitened = Whitened(z, z[:, : layout.axes], (sub_vectors,), np.zeros(len(z)))
    return summarise_each(whitened, layout)


def kl_to_standard_normal(mean: np.ndarray, covariance: np.ndarray) -> float:
    return 0.5 * float(np.trace(covariance) + mean @ mean - len(mean) - np.linalg.slogdet(covariance)[1])


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 6), seed=st.integers(0, 1000))
def test_parts_add_up_to_the_divergence_of_the_fitted_gaussian(length: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layout = layout_of(length, vectors=3)
    u = rng.standard_normal((40, 3, length)) @ rng.standard_normal((length, length)) + rng.standard_normal(length)
    window = merge(summaries(u, layout))
    flat = u.reshape(-1, length)
    shrinkage = length / (length + len(flat))
    covariance = np.cov(flat, rowvar=False, bias=True).reshape(length, length)
    covariance = (1 - shrinkage) * covariance + shrinkage * np.eye(length)
    expected = 3 * kl_to_standard_normal(flat.mean(0), covariance)
    assert decompose(window[None], layout).total[0] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_each_part_responds_to_its_own_change_only() -> None:
    rng = np.random.default_rng(0)
    layout = layout_of(2)
    base = rng.standard_normal((200_000, 1, 2))
    cases = {
        "location": base + np.array([0.5, 0.0]),
        "scale": base * np.array([1.5, 1.0]),
        "dependence": base @ np.linalg.cholesky(np.array([[1.0, 0.6], [0.6, 1.0]])).T,
    }
    expected = {
        "location": 0.5 * 0.25,
        "scale": 0.5 * (1.5**2 - 1 - np.log(1.5**2)),
        "dependence": -0.5 * np.log(1 - 0.6**2),
    }
    for place, (name, u) in enumerate(cases.items()):
        parts = decompose(merge(summaries(u, layout))[None], layout).parts[0, 0]
        assert parts[place] == pytest.approx(expected[name], rel=0.05), name
        assert np.delete(parts, place).max() < 1e-3, name


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 30), max_size=5), seed=st.integers(0, 1000))
def test_summaries_of_any_pieces_merge_to_the_whole(cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    layout = layout_of(3, vectors=2)
    summaries_of_all = summaries(rng.standard_normal((30, 2, 3)), layout)
    edges = [0, *sorted(cuts), 30]
    pieces = [merge(summaries_of_all[a:b]) for a, b in itertools.pairwise(edges) if b > a]
    rng.shuffle(pieces)
    np.testing.assert_allclose(merge(pieces), merge(summaries_of_all), rtol=1e-12, atol=1e-12)


def test_degenerate_windows_stay_finite() -> None:
    layout = layout_of(4, vectors=2)
    constant = np.zeros((5, 2, 4))
    extreme = np.full((5, 2, 4), 1e4)
    for u in (constant, extreme, constant[:1]):
        assert np.isfinite(decompose(merge(summaries(u, layout))[None], layout).parts).all()


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 48), vectors=st.integers(1, 80), scale=st.floats(1e-3, 1e4), seed=st.integers(0, 100))
def test_elimination_gives_the_determinant_of_shrunk_covariances(
    length: int, vectors: int, scale: float, seed: int
) -> None:
    u = scale * np.random.default_rng(seed).standard_normal((5, vectors, length))
    shrinkage = length / (length + vectors)
    covariance = (1 - shrinkage) * u.swapaxes(1, 2) @ u / vectors + shrinkage * np.eye(length)
    expected = np.linalg.slogdet(covariance)[1]
    np.testing.assert_allclose(eliminated_log_det(covariance), expected, rtol=1e-9, atol=1e-9)
    found = eliminated_log_det(torch.from_numpy(covariance))  # type: ignore[arg-type]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("vectors", [1, 3])
def test_single_samples_have_the_same_divergence_alone_and_with_windows(vectors: int) -> None:
    layout = layout_of(4, vectors)
    each = summaries(np.random.default_rng(3).normal(size=(50, vectors, 4)), layout)
    together = np.concatenate([each, merge(each)[None]])
    np.testing.assert_array_equal(decompose(each, layout).parts, decompose(together, layout).parts[:50])
