"""Descriptors: measurements of one sample beside its latent position, whose averages make windows comparable.

A flow's latents say little about where a picture is bright or how often a column has which value, because location in
latent space is diluted over all dimensions. Descriptors are plain numbers of a sample, in named groups. Their mean over
a window follows from sums, and its distance from the reference's mean is Hotelling's statistic (see
`driftwatch.stats.hotelling`). The groups were chosen by measurements on Fashion-MNIST's shifts (docs/accuracy.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from array_api_compat import device
from numpy.typing import NDArray
from scipy.special import ndtri

from driftwatch.kernels.gpu.descriptors import Measured, measured
from driftwatch.stats.moments import times
from driftwatch.stats.summary import Array, namespace, products

LATENT_MOMENTS, LAYOUT, SPECTRUM, INTENSITY = "latent moments", "layout", "spectrum", "intensity"
VALUES, PAIRS, MARGINALS, NUMBERS = "values", "pairs", "marginals", "numbers"

PRODUCTS = (LATENT_MOMENTS, PAIRS)
"""Groups that contain products of values."""

MAX_PAIRED = 16
GRID = 8
MAX_LAYOUT = 192
LEVELS = 4
DIFFERENCES = 4
INTENSITIES = 32
MAX_COLOURS = 3
FAINTEST = 0.3
"""Energy, in squares of the noise, added before taking a logarithm: flat images have no spectrum."""

BINS = ((16, 8), (100, 4))
"""(most columns, bins) pairs: the number of bins, equally likely in the reference, for each column's values."""

LEAST_SHARE = 0.25
"""Least share of a bin, relative to an equal one: of few distinct values, none is binned so rarely that noise rules."""


def latent_moments(blocks: Sequence[Array]) -> Array:
    """First and second moments of each sample's own sub-vectors, ``(N, K)``.

    Args:
        blocks: whitened sub-vectors, ``(N, P_s, l_s)`` each. Pairs are taken of the first `MAX_PAIRED` dimensions; of
            any further ones, only the squares.
    """
    xp, columns = namespace(blocks[0]), []
    for u in blocks:
        vectors, length = u.shape[1:]
        paired = u[:, :, :MAX_PAIRED]
        columns += [xp.mean(u, axis=1), _pairs(products(paired) / vectors)]
        if length > MAX_PAIRED:
            columns.append(xp.mean(xp.square(u[:, :, MAX_PAIRED:]), axis=1))
    moments: Array = xp.concat(columns, axis=1)
    return moments


def image_descriptors(images: NDArray[np.floating], *, low: float, high: float, noise: float) -> Mapping[str, Array]:
    """Layout, spectrum and intensity of images.

    Args:
        images: raw, ``(N, C, H, W)``.
        low: the lowest pixel value.
        high: the highest one.
        noise: the width of the noise that dequantizes pixel values; spectra are in units of it.

    Returns:
        By group, ``(N, K)`` each: mean tones over a coarse grid (a tone is the square root of a pixel scaled to 0..1,
        so that a silhouette counts more than its brightness); log energies of Haar details at up to `LEVELS` scales and
        of differences of up to `DIFFERENCES` orders, over all channels; square roots of an intensity histogram.
    """
    if isinstance(images, torch.Tensor) and (found := _on_gpu(images, low, high, noise)):
        return found
    xp = namespace(images)
    x = xp.astype(images, xp.float64)
    tones = xp.sqrt(xp.clip((x - low) / (high - low), 0.0, 1.0))
    return {LAYOUT: _grid(tones), SPECTRUM: _spectrum(x / noise), INTENSITY: _histogram(x, low, high)}


def _on_gpu(images: torch.Tensor, low: float, high: float, noise: float) -> Mapping[str, Array] | None:
    side = _side(*images.shape[1:])
    what = Measured(low, high, noise, FAINTEST, side, INTENSITIES, MAX_COLOURS, DIFFERENCES, LEVELS)
    found = measured(images, what)
    return dict(zip((LAYOUT, SPECTRUM, INTENSITY), found, strict=True)) if found else None  # type: ignore[arg-type]


def bins_for(columns: int) -> int:
    """The number of bins for the values of each of `columns` columns; 0 for no binning."""
    return next((bins for most, bins in BINS if columns <= most), 0)


def edges_for(atoms: Sequence[Array], bins: int) -> Array:
    """Edges of the bins of each column: equal shares of the reference, but never through a single value.

    Noise spreads each category over its share of a feature. A cut through it would carry no information, and would hide
    part of a move from one category to the next. Edges that are equal or infinite separate nothing.

    Args:
        atoms: for each column, the cumulative shares below and up to each of its single values, ascending, ``(K, 2)``;
            ``(0, 2)`` where no value has a share of its own.
        bins: per column.

    Returns:
        Edges of standard normal features, ascending, ``(D, bins - 1)``; of zero width if there are no bins.
    """
    cuts = np.array([_between(bins, each) for each in atoms]).reshape(len(atoms), max(bins - 1, 0))
    return np.asarray(ndtri(cuts))


def _between(bins: int, atoms: Array) -> list[float]:
    """Cuts at equal shares; one inside an atom moves to its nearer end, or to the last cut if its bin is too small."""
    cuts, last = [], 0.0
    for share in (place / bins for place in range(1, bins)):
        through = atoms[(atoms[:, 0] < share) & (share < atoms[:, 1])].ravel().tolist()
        cut = min(through, key=lambda end: abs(end - share), default=share)
        last = cut if min(cut - last, 1.0 - cut) >= LEAST_SHARE / bins else last
        cuts.append(last)
    return cuts


def vector_descriptors(features: NDArray[np.floating], projection: Array, edges: Array) -> Mapping[str, Array]:
    """Values, pairs and marginals of rows.

    Args:
        features: each standard normal by itself, ``(N, D)``.
        projection: onto the few dimensions of which pairs are taken, ``(D, k)``; not applied if it is square.
        edges: of the bins of each column (see `edges_for`), ``(D, bins - 1)``.

    Returns:
        By group, ``(N, K)`` each: the values (projected if there are no edges); products of all pairs of projected
        values; if there are edges, indicators of the bin of each column's value, omitting the last bin.
    """
    xp = namespace(features)
    every: Array = xp.astype(features, xp.float64)
    few = every if projection.shape[0] == projection.shape[1] else times(every, projection)
    groups = {
        VALUES: every if edges.shape[1] else few,
        PAIRS: _pairs(few[:, :, None] * few[:, None, :]),
    }
    if edges.shape[1]:
        above = every[:, :, None] > edges
        share = xp.concat([~above[:, :, :1], above[:, :, :-1] & ~above[:, :, 1:]], axis=2)
        groups[MARGINALS] = xp.astype(share.reshape(len(every), -1), xp.float64)
    return groups


def _pairs(products: Array) -> Array:
    """The upper triangles of symmetric matrices ``(N, k, k)`` with their diagonals, ``(N, k (k + 1) / 2)``."""
    rows = [products[:, i, i:] for i in range(products.shape[1])]
    pairs: Array = namespace(products).concat(rows, axis=1)
    return pairs


def _grid(x: Array) -> Array:
    """Means over the cells of a grid that covers the image, ``(N, C * g * g)``."""
    height, width = x.shape[2:]
    side = _side(*x.shape[1:])
    xp = namespace(x)
    down, across = (_cells(x, length, side) for length in (height, width))
    means: Array = xp.matmul(xp.matmul(down, x), xp.matrix_transpose(across)).reshape(len(x), -1)
    return means


def _side(channels: int, height: int, width: int) -> int:
    return max(1, min(GRID, height, width, int((MAX_LAYOUT / channels) ** 0.5)))


def _cells(x: Array, length: int, side: int) -> Array:
    """A matrix that averages `length` pixels into `side` cells, ``(side, length)``, on the device of `x`."""
    xp = namespace(x)
    edges = xp.arange(side + 1, device=device(x)) * length // side
    pixels = xp.arange(length, device=device(x))
    inside = xp.astype((pixels >= edges[:-1, None]) & (pixels < edges[1:, None]), xp.float64)
    return inside / xp.sum(inside, axis=1, keepdims=True)  # type: ignore[no-any-return]


def _spectrum(x: Array) -> Array:
    xp, energies = namespace(x), []
    for axis in (2, 3):
        difference = x
        for _ in range(min(DIFFERENCES, x.shape[axis] - 1)):
            difference = xp.diff(difference, axis=axis)
            energies += [xp.square(difference), xp.abs(difference)]
    smooth = x
    for _ in range(LEVELS):
        height, width = (length - length % 2 for length in smooth.shape[2:])
        if min(height, width) < 2:
            break
        smooth = smooth[:, :, :height, :width]
        a, b, c, d = (smooth[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1))
        energies += [xp.square(detail / 4) for detail in (a - b + c - d, a + b - c - d, a - b - c + d)]
        smooth = (a + b + c + d) / 4
    energies.append(xp.square(smooth))
    means = xp.stack([xp.mean(energy, axis=(1, 2, 3)) for energy in energies], axis=1)
    return xp.log(means + FAINTEST)  # type: ignore[no-any-return]


def _histogram(x: Array, low: float, high: float) -> Array:
    n, channels = x.shape[:2]
    colours = x if channels <= MAX_COLOURS else x.reshape(n, 1, -1, 1)
    kinds = colours.shape[1]
    xp = namespace(x)
    place = xp.astype(xp.clip((colours - low) / (high - low) * INTENSITIES, 0, INTENSITIES - 1), xp.int64)
    place = place.reshape(n, kinds, -1)
    # The array API has no histogram; torch's scatter_add works on NumPy arrays without a copy.
    index = torch.as_tensor(place)
    ones = torch.ones((), dtype=torch.float64, device=index.device).expand(index.shape)
    counts = torch.zeros(n, kinds, INTENSITIES, dtype=torch.float64, device=index.device).scatter_add_(2, index, ones)
    return xp.sqrt(xp.asarray(counts).reshape(n, -1) / place.shape[2])  # type: ignore[no-any-return]
