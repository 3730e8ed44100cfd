"""Shifts of 8-bit images ``(N, H, W)`` or ``(N, H, W, 3)``."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from benchmarks.detection.material import whole

Images = NDArray[np.uint8]
SIDES = (1, 2)


def contrast(images: Images, factor: float) -> Images:
    """Images whose deviations from their own mean are scaled by a factor."""
    mean = images.mean(axis=SIDES, keepdims=True)
    return whole(mean + factor * (images - mean))


def rotated(images: Images, degrees: float) -> Images:
    """Images rotated about their centre, with black corners."""
    if degrees == 90:
        return np.rot90(images, axes=SIDES).copy()
    return whole(ndimage.rotate(images.astype(np.float64), degrees, axes=SIDES, reshape=False, order=1))


def blurred(images: Images, sigma: float) -> Images:
    """Images blurred by a Gaussian of `sigma` pixels."""
    return whole(ndimage.gaussian_filter(images.astype(np.float64), (0, sigma, sigma, 0)[: images.ndim]))


def noisy(images: Images, sigma: float, rng: np.random.Generator) -> Images:
    """Images with added Gaussian noise of `sigma` grey levels."""
    return whole(images + rng.normal(0, sigma, images.shape))


def gained(images: Images, factor: float | tuple[float, float, float]) -> Images:
    """Images multiplied by one factor, or by one factor per colour."""
    return whole(images * np.asarray(factor))


def brightened(images: Images, levels: float) -> Images:
    """Images brightened by a number of grey levels."""
    return whole(images + np.float64(levels))


def compressed(images: Images, quality: int) -> Images:
    """Images compressed as JPEG and decompressed."""
    out = np.empty_like(images)
    for i, image in enumerate(images):
        with io.BytesIO() as file:
            Image.fromarray(image).save(file, "JPEG", quality=quality)
            out[i] = np.asarray(Image.open(file))
    return out


def constant(images: Images, rng: np.random.Generator) -> Images:
    """Images of a single grey level each, drawn from 0 to 255."""
    levels = rng.integers(0, 256, (len(images), *[1] * (images.ndim - 1)))
    return np.broadcast_to(levels, images.shape).astype(np.uint8)
