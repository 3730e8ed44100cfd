"""Moments of the reference's latents, and whitening by them: no flow is perfect, so latents are not quite N(0, I)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from driftwatch.kernels.gpu.shortened import shortened
from driftwatch.stats.summary import Array, Layout, Whitened, namespace, norms

AXES = 16
MIN_DEVIATION = 1e-3
CLIPPED_SHARE = 1e-3


@dataclass(frozen=True)
class Moments:
    """Everything needed to standardize the reference's latents.

    Args:
        mean: of the full latent, ``(d,)``.
        deviation: its standard deviations, ``(d,)``.
        projection: random orthonormal axes, ``(d, k)``.
        block_means: ``mu0_s`` of each block's sub-vectors, ``(l_s,)``.
        block_whiteners: ``W_s`` with ``W_s Sigma0_s W_s^T = I``, ``(l_s, l_s)``.
        limit: the greatest length of a whitened full latent.
        block_limits: the greatest length of a whitened sub-vector of each block, ``(S,)``.
        nll_limits: the range that the NLL is clipped to, nats, ``(2,)``.

    Vectors longer than their limit, as one in a thousand of the reference is, are shortened to it. No bank of reference
    samples shows how often even more extreme ones occur, so none may decide a window alone: shortened, it counts as
    much as the bank's own extremes, and windows of many such samples remain as far off as before.
    """

    mean: Array
    deviation: Array
    projection: Array
    block_means: tuple[Array, ...]
    block_whiteners: tuple[Array, ...]
    limit: float
    block_limits: Array
    nll_limits: Array

    def whiten(self, latents: Sequence[NDArray[np.float32]], nll: Array) -> Whitened:
        """Whiten latents ``(N, P_s, l_s)``, one array per block, which are on the same device as these moments."""
        xp = namespace(latents[0])
        exact = [xp.astype(z, xp.float64) for z in latents]
        full = xp.concat([z.reshape(len(z), -1) for z in exact], axis=1)
        full = shorten((full - self.mean) / self.deviation, self.limit)
        blocks = tuple(
            shorten((z - mean) @ whitener.T, limit)
            for z, mean, whitener, limit in zip(
                exact, self.block_means, self.block_whiteners, self.block_limits, strict=True
            )
        )
        return Whitened(full, times(full, self.projection), blocks, nll.clip(*self.nll_limits))

    def layout(self, blocks: tuple[tuple[int, int], ...]) -> Layout:
        """The layout of summaries whitened by these moments, for blocks of ``(P, l)``."""
        return Layout(dim=len(self.mean), blocks=blocks, axes=self.projection.shape[1])

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Named arrays, for a bundle."""
        arrays = {
            "mean": self.mean,
            "deviation": self.deviation,
            "projection": self.projection,
            "limit": np.array([self.limit]),
            "block_limits": self.block_limits,
            "nll_limits": self.nll_limits,
        }
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
            float(arrays["limit"][0]),
            arrays["block_limits"],
            arrays["nll_limits"],
        )


def fit_moments(latents: Sequence[NDArray[np.float32]], nll: Array, *, seed: int = 0) -> Moments:
    """Fit moments to the latents of reference samples, ``(N, P_s, l_s)`` per block, and their NLL in nats, ``(N,)``."""
    full = np.concatenate([z.reshape(len(z), -1) for z in latents], axis=1, dtype=np.float64)
    dim = full.shape[1]
    axes = min(AXES, dim)
    gaussian = np.random.default_rng(seed).standard_normal((dim, axes))
    mean, deviation = full.mean(0), np.maximum(full.std(0), MIN_DEVIATION)
    means, whiteners, limits = [], [], []
    for z in latents:
        u = z.reshape(-1, z.shape[2]).astype(np.float64)
        centre = u.mean(0)
        covariance = np.cov(u, rowvar=False).reshape(len(centre), -1)
        eigenvalues, vectors = np.linalg.eigh(covariance)
        whitener = vectors / np.sqrt(np.maximum(eigenvalues, MIN_DEVIATION**2)) @ vectors.T
        means.append(centre)
        whiteners.append(whitener)
        limits.append(_limit((u - centre) @ whitener.T))
    return Moments(
        mean=mean,
        deviation=deviation,
        projection=np.linalg.qr(gaussian)[0],
        block_means=tuple(means),
        block_whiteners=tuple(whiteners),
        limit=_limit((full - mean) / deviation),
        block_limits=np.array(limits),
        nll_limits=np.quantile(nll, [CLIPPED_SHARE, 1.0 - CLIPPED_SHARE]),
    )


def times(rows: Array, matrix: Array) -> Array:
    """``rows @ matrix``, each row by itself: in one large product, a row's rounding could depend on its position.

    >>> times(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    product: Array = namespace(rows).matmul(rows[:, None, :], matrix)[:, 0]
    return product


def shorten(vectors: Array, limit: float) -> Array:
    """Shorten those vectors ``(..., l)`` that are longer than `limit`.

    >>> shorten(np.array([[3.0, 4.0], [0.3, 0.4]]), 1.0)
    array([[0.6, 0.8],
           [0.3, 0.4]])
    """
    if isinstance(vectors, torch.Tensor) and (found := shortened(vectors, limit)) is not None:
        return found
    shorter: Array = vectors * (limit / norms(vectors).clip(min=1e-300)).clip(max=1.0)
    return shorter


def _limit(vectors: Array) -> float:
    return float(np.quantile(np.linalg.norm(vectors, axis=-1), 1.0 - CLIPPED_SHARE))
