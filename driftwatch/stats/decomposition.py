"""KL decomposition of a window: location, scale and dependence of each block, in nats per sample.

Source: arXiv 2002.03328, and METHOD.md, "KL decomposition".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from array_api_compat import device, is_numpy_array

from driftwatch.kernels.gpu.divergence import Block, divergences
from driftwatch.stats.summary import Array, Layout, namespace

PARTS = ("location", "scale", "dependence")


@dataclass(frozen=True)
class Decomposition:
    """``KL(N(m, C) || N(0, I))`` of ``M`` windows.

    Args:
        parts: nats per sample, ``(M, S, 3)``: windows, blocks, and `PARTS`.
    """

    parts: Array

    @property
    def total(self) -> Array:
        """The score of each window, ``(M,)``, in nats per sample."""
        total: Array = namespace(self.parts).sum(self.parts, axis=(1, 2))
        return total


def divergence(values: Array, layout: Layout) -> Array:
    """Only the total of `decompose`: the divergence of windows ``(M, V)``, ``(M,)``, in nats per sample."""
    if isinstance(values, torch.Tensor):
        places = [(first.start, second.start) for first, second in layout.block_slices]
        blocks = [Block(*block, *place) for block, place in zip(layout.blocks, places, strict=True)]
        if (found := divergences(values, blocks)) is not None:
            return found
    return decompose(values, layout).total


def decompose(values: Array, layout: Layout) -> Decomposition:
    """Decompose the divergence of windows from the reference.

    The covariance is shrunk towards the reference's, ``(1 - lam) C + lam I`` with ``lam = l / (l + n P)``: the fewer
    sub-vectors a window has, the less its covariance counts. That of a single one is zero, despite rounding.

    Args:
        values: summaries of ``M`` windows, ``(M, V)``.
        layout: of the summaries.

    >>> import numpy as np
    >>> layout = Layout(dim=2, blocks=((1, 2),), axes=0)
    >>> far = np.zeros((1, layout.size)); far[0, 0] = 1e9       # a very large window ...
    >>> far[0, layout.block_slices[0][0]] = 1e9 * np.array([3.0, 0.0])
    >>> far[0, layout.block_slices[0][1]] = 1e9 * (np.eye(2) + np.diag([9.0, 0.0])).ravel()
    >>> decompose(far, layout).parts.round(6)[0, 0].tolist()    # ... of N((3, 0), I): |m|^2 / 2
    [4.5, 0.0, 0.0]
    """
    xp, n = namespace(values), values[:, 0]
    parts = xp.empty((len(values), len(layout.blocks), len(PARTS)), dtype=xp.float64, device=device(values))
    # Single samples with one sub-vector share one covariance. Not checked on a GPU, where that means waiting for it.
    single = is_numpy_array(values) and len(values) > 0 and bool((n == 1).all())
    for s, ((vectors, _), (first, second)) in enumerate(zip(layout.blocks, layout.block_slices, strict=True)):
        count = n * vectors
        mean = values[:, first] / count[:, None]
        parts[:, s, 0] = 0.5 * xp.sum(xp.square(mean), axis=1)
        some = slice(1 if single and vectors == 1 else None)
        parts[:, s, 1], parts[:, s, 2] = _spread(mean[some], values[some, second], count[some])
        parts[:, s] *= vectors
    return Decomposition(parts)


def _spread(mean: Array, squares: Array, count: Array) -> tuple[Array, Array]:
    """Scale and dependence of a block, ``(M,)`` each, nats per sub-vector.

    Args:
        mean: of the sub-vectors, ``(M, l)``.
        squares: sums of their products, ``(M, l * l)``.
        count: number of sub-vectors, ``(M,)``.
    """
    xp, length = namespace(mean), mean.shape[1]
    covariance = squares.reshape(-1, length, length) / count[:, None, None]
    covariance = covariance - mean[:, :, None] * mean[:, None, :]
    covariance = xp.where(count[:, None, None] > 1, covariance, 0.0)
    shrinkage = (length / (length + count))[:, None, None]
    covariance = (1 - shrinkage) * covariance + shrinkage * xp.eye(length, device=device(mean))
    variance = xp.clip(xp.linalg.diagonal(covariance), min=1e-12)
    # LAPACK is fastest on a host. On a GPU, not every library call can be captured in the CUDA graph of scoring.
    log_det = np.linalg.slogdet(covariance)[1] if is_numpy_array(covariance) else eliminated_log_det(covariance)
    log_variance = xp.log(variance)
    dependence: Array = xp.clip(0.5 * (xp.sum(log_variance, axis=1) - log_det), min=0.0)
    return 0.5 * xp.sum(variance - 1 - log_variance, axis=1), dependence


def eliminated_log_det(matrices: Array) -> Array:
    """The log-determinant of symmetric positive definite matrices ``(M, l, l)``, ``(M,)``.

    By plain Gaussian elimination; such matrices need no pivoting.

    >>> import numpy as np
    >>> matrices = np.array([[[4.0, 2.0], [2.0, 3.0]]])
    >>> bool(np.isclose(eliminated_log_det(matrices)[0], np.log(8.0)))
    True
    """
    xp = namespace(matrices)
    pivots, rest = [], matrices
    for _ in range(matrices.shape[1]):
        pivot, column = rest[:, 0, 0], rest[:, 1:, 0]
        pivots.append(pivot)
        rest = rest[:, 1:, 1:] - column[:, :, None] * (column / pivot[:, None])[:, None, :]
    log_det: Array = xp.sum(xp.log(xp.stack(pivots, axis=1)), axis=1)
    return log_det
