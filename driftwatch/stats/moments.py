"""Moments of the reference's latents, and whitening by them: a flow is never perfect, its latents not quite N(0, I)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.summary import Array, Layout, Whitened

AXES = 16
MIN_DEVIATION = 1e-3


@dataclass(frozen=True)
class Moments:
    """What makes the reference's latents standard.

    Args:
        mean: of the full latent, ``(d,)``.
        deviation: its standard deviations, ``(d,)``.
        projection: random orthonormal axes, ``(d, k)``.
        block_means: ``mu0_s`` of each block's sub-vectors, ``(l_s,)``.
        block_whiteners: ``W_s`` with ``W_s Sigma0_s W_s^T = I``, ``(l_s, l_s)``.
    """

    mean: Array
    deviation: Array
    projection: Array
    block_means: tuple[Array, ...]
    block_whiteners: tuple[Array, ...]

    def whiten(self, latents: Sequence[NDArray[np.float32]], nll: Array) -> Whitened:
        """Whitens latents ``(N, P_s, l_s)``, one array a block."""
        full = np.concatenate([z.reshape(len(z), -1) for z in latents], axis=1, dtype=np.float64)
        full = (full - self.mean) / self.deviation
        blocks = tuple(
            (z.astype(np.float64) - mean) @ whitener.T
            for z, mean, whitener in zip(latents, self.block_means, self.block_whiteners, strict=True)
        )
        return Whitened(full, full @ self.projection, blocks, np.asarray(nll, dtype=np.float64))

    def layout(self, blocks: tuple[tuple[int, int], ...]) -> Layout:
        """The layout of summaries whitened by these moments, for blocks of ``(P, l)``."""
        return Layout(dim=len(self.mean), blocks=blocks, axes=self.projection.shape[1])

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Named arrays, for a bundle."""
        arrays = {"mean": self.mean, "deviation": self.deviation, "projection": self.projection}
        for s, (mean, whitener) in enumerate(zip(self.block_means, self.block_whiteners, strict=True)):
            arrays[f"block_mean.{s}"] = mean
            arrays[f"block_whitener.{s}"] = whitener
        return arrays

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.float64]]) -> Moments:
        """The inverse of `to_arrays`."""
        count = sum(name.startswith("block_mean.") for name in arrays)
        return Moments(
            arrays["mean"],
            arrays["deviation"],
            arrays["projection"],
            tuple(arrays[f"block_mean.{s}"] for s in range(count)),
            tuple(arrays[f"block_whitener.{s}"] for s in range(count)),
        )


def fit_moments(latents: Sequence[NDArray[np.float32]], *, seed: int = 0) -> Moments:
    """Fits moments to the latents of reference samples, ``(N, P_s, l_s)`` a block."""
    full = np.concatenate([z.reshape(len(z), -1) for z in latents], axis=1, dtype=np.float64)
    dim = full.shape[1]
    axes = min(AXES, dim)
    gaussian = np.random.default_rng(seed).standard_normal((dim, axes))
    means, whiteners = [], []
    for z in latents:
        u = z.reshape(-1, z.shape[2]).astype(np.float64)
        mean = u.mean(0)
        covariance = np.cov(u, rowvar=False).reshape(len(mean), -1)
        eigenvalues, vectors = np.linalg.eigh(covariance)
        means.append(mean)
        whiteners.append(vectors / np.sqrt(np.maximum(eigenvalues, MIN_DEVIATION**2)) @ vectors.T)
    return Moments(
        mean=full.mean(0),
        deviation=np.maximum(full.std(0), MIN_DEVIATION),
        projection=np.linalg.qr(gaussian)[0],
        block_means=tuple(means),
        block_whiteners=tuple(whiteners),
    )
