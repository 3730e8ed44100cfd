"""Where in an image a window differs from the reference: as a grid of numbers, and in words.

Every latent dimension of an image flow belongs to a place in the image. A patch that changes moves the means of the
latents there even if its mean brightness stays, so location alone finds it (docs/accuracy.md, "Where an image
changed"), and the sums of latents that a summary holds anyway are enough.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from driftwatch.flows.image import ImageFlow
from driftwatch.reference.reference import Reference
from driftwatch.stats.summary import Array
from driftwatch.stream.alert import HeatMap

CELL = 4
"""Least width and height of a cell, pixels: those of a sub-vector of the finest block."""

MOST_CELLS = 16
SURE = 1e-4
LEVEL, WIDELY = 0.25, 0.5
"""Much of an image has changed if a share `WIDELY` of its cells are above a share `LEVEL` of the peak."""

DECIMALS = 5


def heat_map(summary: Array, reference: Reference) -> HeatMap | None:
    """The excess of location in each cell of the image, debiased: zero on average where nothing changed.

    The excess of a latent dimension is spread evenly over the pixels that it represents; shares on padding are dropped.

    Args:
        summary: of the window, ``(V,)``.
        reference: to compare with.

    Returns:
        The map; None for samples other than images.
    """
    if not isinstance(reference.flow, ImageFlow):
        return None
    n = summary[0]
    excess = (np.square(summary[reference.layout.sum_z] / n) - 1.0 / n) / 2
    down, across = _shares(reference.flow)
    values = (down.T @ (excess[:, None] * across)).round(DECIMALS)
    return HeatMap(tuple(map(tuple, values.tolist())))


def place_words(found: HeatMap, summary: Array, reference: Reference) -> str:
    """Where a map peaks, such as ``most at the lower left``; empty where that may be chance.

    Args:
        found: the window's map.
        summary: of the window, ``(V,)``.
        reference: to compare with.
    """
    flow = reference.flow
    values = np.array(found.values)
    row, column = (int(i) for i in np.unravel_index(np.argmax(values), values.shape))
    if not isinstance(flow, ImageFlow) or values.size * _p_value(summary, reference, flow, (row, column)) > SURE:
        return ""
    widely = "in much of the image, " if (values > LEVEL * values.max()).mean() > WIDELY else ""
    _, height, width = flow.image_shape
    top, bottom = _edges(height)[row : row + 2]
    left, right = _edges(width)[column : column + 2]
    side = _side((top + bottom) / 2 / height, (left + right) / 2 / width)
    pixels = f"rows {top} to {bottom - 1}, columns {left} to {right - 1}"
    return f"{widely}most at the {side} ({pixels}: {values[row, column]:+.3g} nats/sample)"


def _p_value(summary: Array, reference: Reference, flow: ImageFlow, cell: tuple[int, int]) -> float:
    """P-value of the location in one cell, by a chi-squared with the same mean and variance.

    Latents of neighbouring places are not quite independent; the bank gives their covariance.
    """
    down, across = _shares(flow)
    weights = down[:, cell[0]] * across[:, cell[1]]
    inside = np.flatnonzero(weights)
    scale = np.sqrt(weights[inside])
    z = reference.bank[:, reference.layout.sum_z.start + inside].astype(np.float64)
    covariance = np.cov(z * scale, rowvar=False).reshape(len(inside), -1)
    trace, square = float(np.trace(covariance)), float(np.square(covariance).sum())
    # The reference's own mean is an average too, over about as many samples as the bank holds.
    n = 1.0 / (1.0 / summary[0] + 1.0 / len(z))
    mean = summary[reference.layout.sum_z][inside] / summary[0]
    return float(chdtrc(trace**2 / square, n * np.square(mean * scale).sum() * trace / square))


def _side(down: float, across: float) -> str:
    vertical = ("upper", "middle", "lower")[min(2, int(3 * down))]
    horizontal = ("left", "centre", "right")[min(2, int(3 * across))]
    return "centre" if (vertical, horizontal) == ("middle", "centre") else f"{vertical} {horizontal}"


def _edges(length: int) -> list[int]:
    """Where cells begin along a side of the image, and where the last one ends, in pixels.

    >>> _edges(10)
    [0, 5, 10]
    """
    cells = max(1, min(MOST_CELLS, length // CELL))
    return [i * length // cells for i in range(cells + 1)]


def _shares(flow: ImageFlow) -> tuple[Array, Array]:
    """The share of each latent dimension's pixels in each row of cells, ``(d, R)``, and in each column, ``(d, C)``."""
    _, height, width = flow.image_shape
    boxes = flow.boxes().numpy()
    return _overlaps(boxes[:, :2], _edges(height)), _overlaps(boxes[:, 2:], _edges(width))


def _overlaps(spans: NDArray[np.int64], edges: list[int]) -> Array:
    first, last = spans[:, :1], spans[:, 1:]
    shared = np.minimum(last, edges[1:]) - np.maximum(first, edges[:-1])
    return np.asarray(np.maximum(shared, 0) / (last - first))
