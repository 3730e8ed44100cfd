"""Descriptors: what is measured of one sample beside its latent position, so that windows can be compared by averages.

A flow's latents say little about where a picture is bright or how often a column has which value: location in latent
space is diluted over all its dimensions. Descriptors are plain numbers of a sample in named groups. Their mean over a
window follows from sums, and its distance from the reference's mean is Hotelling's statistic (see
`driftwatch.stats.hotelling`). Which groups there are was measured on Fashion-MNIST's shifts (docs/accuracy.md).
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
VALUES, PAIRS, MARGINALS = "values", "pairs", "marginals"

PRODUCTS = (LATENT_MOMENTS, PAIRS)
"""Groups that hold products of values."""

MAX_PAIRED = 16
GRID = 8
MAX_LAYOUT = 192
LEVELS = 4
DIFFERENCES = 4
INTENSITIES = 32
MAX_COLOURS = 3
FAINTEST = 0.3
"""Energy, in squares of the noise, that is added before taking a logarithm: what is flat has no spectrum."""

BINS = ((16, 8), (100, 4))
"""Up to so many columns, into how many shares of the reference each one's values are sorted."""

LEAST_SHARE = 0.25
"""Of an equal one: where values are few, what is sorted apart is not so rare that chance alone decides on it."""


def latent_moments(blocks: Sequence[Array]) -> Array:
    """First and second moments of each sample's own sub-vectors, ``(N, K)``.

    Args:
        blocks: whitened sub-vectors, ``(N, P_s, l_s)`` each. Of long ones only the first `MAX_PAIRED` dimensions are
            taken in pairs; of the others only their squares.
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
        high: the highest.
        noise: the width of quantization, in the same unit.

    Returns:
        By group, ``(N, K)`` each: mean tones over a coarse grid (a tone is the root of a pixel between 0 and 1: a
        silhouette counts more than its brightness); log energies of Haar details at up to `LEVELS` scales, and of
        differences of up to `DIFFERENCES` orders, over all channels; the square roots of an intensity histogram.
    """
    if isinstance(images, torch.Tensor) and (found := _by_a_kernel(images, low, high, noise)):
        return found
    xp = namespace(images)
    x = xp.astype(images, xp.float64)
    tones = xp.sqrt(xp.clip((x - low) / (high - low), 0.0, 1.0))
    return {LAYOUT: _grid(tones), SPECTRUM: _spectrum(x / noise), INTENSITY: _histogram(x, low, high)}


def _by_a_kernel(images: torch.Tensor, low: float, high: float, noise: float) -> Mapping[str, Array] | None:
    side = _side(*images.shape[1:])
    what = Measured(low, high, noise, FAINTEST, side, INTENSITIES, MAX_COLOURS, DIFFERENCES, LEVELS)
    found = measured(images, what)
    return dict(zip((LAYOUT, SPECTRUM, INTENSITY), found, strict=True)) if found else None  # type: ignore[arg-type]


def bins_for(columns: int) -> int:
    """Into how many shares of the reference the values of each of so many columns are sorted; 0 if not at all."""
    return next((bins for most, bins in BINS if columns <= most), 0)


def edges_for(atoms: Sequence[Array], bins: int) -> Array:
    """Where the values of columns are cut: into equal shares, but between single values and not through them.

    A category is spread by noise over its share of a feature. A cut through it tells nothing, and what moves from one
    category to the next one would be seen less, the more of both lies on one side. Edges that are equal, or that are
    infinite, part nothing.

    Args:
        atoms: of each column the shares below its single values, and up to and with them, ascending, ``(K, 2)``;
            ``(0, 2)`` where no value has a share of its own.
        bins: into how many shares.

    Returns:
        Edges of standard normal features, ascending, ``(D, bins - 1)``; of no width for no bins.
    """
    cuts = np.array([_between(bins, each) for each in atoms]).reshape(len(atoms), max(bins - 1, 0))
    return np.asarray(ndtri(cuts))


def _between(bins: int, atoms: Array) -> list[float]:
    """Equal shares, each moved out of the atom that it lies in to its nearer end; the one before if it leaves none."""
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
        features: standard normal one by one, ``(N, D)``.
        projection: to the few dimensions that are taken in pairs, ``(D, k)``; as they are, if that is all of them.
        edges: where the values of each column are cut (see `edges_for`), ``(D, bins - 1)``.

    Returns:
        By group, ``(N, K)`` each: the values (projected, if there are no edges); products of all pairs of projected
        values; if there are edges, between which of them each column's value lies, but for the last share.
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
    """The upper triangle of symmetric matrices ``(N, k, k)``, its diagonal included, ``(N, k (k + 1) / 2)``."""
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
    """A matrix that averages `length` pixels in `side` cells, ``(side, length)``, where `x` is."""
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
    # The standard knows no histogram; torch's way of counting takes NumPy's arrays as they lie.
    index = torch.as_tensor(place)
    ones = torch.ones((), dtype=torch.float64, device=index.device).expand(index.shape)
    counts = torch.zeros(n, kinds, INTENSITIES, dtype=torch.float64, device=index.device).scatter_add_(2, index, ones)
    return xp.sqrt(xp.asarray(counts).reshape(n, -1) / place.shape[2])  # type: ignore[no-any-return]
