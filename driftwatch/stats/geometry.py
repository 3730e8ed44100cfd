"""Geometry of a window's latents: whether they share directions, and whether they lie on the usual shell.

Source: arXiv 2002.03328, and METHOD.md, "Group detectors".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.stats.summary import Array, Layout


@dataclass(frozen=True)
class Geometry:
    """Statistics of ``M`` windows, ``(M,)`` each.

    Args:
        cosine: mean pairwise cosine of latents; 0 for random directions.
        location: unbiased estimate of ``|mu|^2 / d``.
        axes: mean pairwise squared cosine in a low-rank projection; ``1 / k`` for random axes.
        radius: mean ``|z|^2 / d``; 1 on the usual shell.
    """

    cosine: Array
    location: Array
    axes: Array
    radius: Array


def geometry(values: Array, layout: Layout) -> Geometry:
    """Measure the geometry of windows.

    Pairwise statistics need two samples; windows of one get their null values.

    Args:
        values: summaries of ``M`` windows, ``(M, V)``.
        layout: of the summaries.
    """
    n, sum_square = values[:, 0], values[:, 1]
    pairs = np.maximum(n * (n - 1), 1.0)
    alone = n < 2
    cosine = (np.square(values[:, layout.sum_unit]).sum(1) - n) / pairs
    location = (np.square(values[:, layout.sum_z]).sum(1) - sum_square) / (pairs * layout.dim)
    axes = (np.square(values[:, layout.sum_axes]).sum(1) - n) / pairs
    return Geometry(
        cosine=np.where(alone, 0.0, cosine),
        location=np.where(alone, 0.0, location),
        axes=np.where(alone, 1.0 / max(layout.axes, 1), axes),
        radius=sum_square / (n * layout.dim),
    )
