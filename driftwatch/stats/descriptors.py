"""Descriptors: what is measured of one sample beside its latent position, so that windows can be compared by averages.

A flow's latents say little about where a picture is bright or how often a column has which value: location in latent
space is diluted over all its dimensions. Descriptors are plain numbers of a sample in named groups. Their mean over a
window follows from sums, and its distance from the reference's mean is Hotelling's statistic (see
`driftwatch.stats.hotelling`). Which groups there are was measured on Fashion-MNIST's shifts (docs/accuracy.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from driftwatch.stats.moments import times
from driftwatch.stats.summary import Array

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

MAX_MARGINALS = 40
BINS = 8


def latent_moments(blocks: Sequence[Array]) -> Array:
    """First and second moments of each sample's own sub-vectors, ``(N, K)``.

    Args:
        blocks: whitened sub-vectors, ``(N, P_s, l_s)`` each. Of long ones only the first `MAX_PAIRED` dimensions are
            taken in pairs; of the others only their squares.
    """
    columns = []
    for u in blocks:
        vectors, length = u.shape[1:]
        paired = u[:, :, :MAX_PAIRED]
        products = np.matmul(paired.transpose(0, 2, 1), paired) / vectors
        rows, others = np.triu_indices(paired.shape[2])
        columns += [u.mean(1), products[:, rows, others]]
        if length > MAX_PAIRED:
            columns.append(np.square(u[:, :, MAX_PAIRED:]).mean(1))
    return np.concatenate(columns, axis=1)


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
    x = images.astype(np.float64)
    tones = np.sqrt(np.clip((x - low) / (high - low), 0.0, 1.0))
    return {LAYOUT: _grid(tones), SPECTRUM: _spectrum(x / noise), INTENSITY: _histogram(x, low, high)}


def vector_descriptors(features: NDArray[np.floating], projection: Array) -> Mapping[str, Array]:
    """Values, pairs and marginals of rows.

    Args:
        features: standard normal one by one, ``(N, D)``.
        projection: to the few dimensions that are taken in pairs, ``(D, k)``.

    Returns:
        By group, ``(N, K)`` each: the values (projected, if there are many); products of all pairs of projected values;
        for each column, if there are not too many, in which eighth of the reference its value lies.
    """
    every: Array = features.astype(np.float64)
    few = times(every, projection)
    rows, others = np.triu_indices(few.shape[1])
    groups = {VALUES: every if every.shape[1] <= MAX_MARGINALS else few, PAIRS: few[:, rows] * few[:, others]}
    if every.shape[1] <= MAX_MARGINALS:
        edges = _normal_quantiles(BINS)
        eighth = np.searchsorted(edges, every)
        groups[MARGINALS] = (eighth[:, :, None] == np.arange(BINS - 1)).reshape(len(features), -1).astype(np.float64)
    return groups


def _grid(x: Array) -> Array:
    """Means over the cells of a grid that covers the image, ``(N, C * g * g)``."""
    channels, height, width = x.shape[1:]
    side = max(1, min(GRID, height, width, int((MAX_LAYOUT / channels) ** 0.5)))
    rows, columns = (np.arange(side) * length // side for length in (height, width))
    sums = np.add.reduceat(np.add.reduceat(x, rows, axis=2), columns, axis=3)
    areas = np.outer(np.diff([*rows, height]), np.diff([*columns, width]))
    return np.asarray((sums / areas).reshape(len(x), -1))


def _spectrum(x: Array) -> Array:
    energies = []
    for axis in (2, 3):
        difference = x
        for _ in range(min(DIFFERENCES, x.shape[axis] - 1)):
            difference = np.diff(difference, axis=axis)
            energies += [np.square(difference), np.abs(difference)]
    smooth = x
    for _ in range(LEVELS):
        height, width = (length - length % 2 for length in smooth.shape[2:])
        if min(height, width) < 2:
            break
        smooth = smooth[:, :, :height, :width]
        a, b, c, d = (smooth[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1))
        energies += [np.square(detail / 4) for detail in (a - b + c - d, a + b - c - d, a - b - c + d)]
        smooth = (a + b + c + d) / 4
    energies.append(np.square(smooth))
    return np.log(np.stack([energy.mean((1, 2, 3)) for energy in energies], axis=1) + FAINTEST)


def _histogram(x: Array, low: float, high: float) -> Array:
    n, channels = x.shape[:2]
    colours = x if channels <= MAX_COLOURS else x.reshape(n, 1, -1, 1)
    kinds = colours.shape[1]
    place = np.clip((colours - low) / (high - low) * INTENSITIES, 0, INTENSITIES - 1).astype(np.int64)
    place = place.reshape(n, kinds, -1)
    pixels = place.shape[2]
    place += INTENSITIES * np.arange(n * kinds).reshape(n, kinds, 1)
    counts = np.bincount(place.ravel(), minlength=n * kinds * INTENSITIES)
    return np.sqrt(counts.reshape(n, -1) / pixels)


def _normal_quantiles(bins: int) -> Array:
    return np.asarray(ndtri(np.arange(1, bins) / bins))
