"""The demo's data: a camera that films strokes on a wall, and whose lens goes out of focus for a while."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

SIDE = 16
STROKES = 3
BLUR_PIXELS = 0.7
NOISE = 6.0

Images = NDArray[np.uint8]


def sharp(count: int, rng: Generator) -> Images:
    """Images ``(N, 16, 16)`` as the camera takes them."""
    return _exposed(_strokes(count, rng), rng)


def out_of_focus(count: int, rng: Generator) -> Images:
    """The same kind of scene through a lens slightly out of focus, with the same sensor noise."""
    return _exposed(gaussian_filter(_strokes(count, rng), (0, BLUR_PIXELS, BLUR_PIXELS)), rng)


def _strokes(count: int, rng: Generator) -> NDArray[np.float32]:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    scene = np.zeros((count, SIDE, SIDE), np.float32)
    for _ in range(STROKES):
        start, end = rng.uniform(2, SIDE - 3, (2, count, 2, 1, 1)).astype(np.float32)
        along = end - start
        from_x, from_y = x - start[:, 0], y - start[:, 1]
        length = np.maximum(np.square(along).sum(1), 1e-3)
        t = np.clip((from_x * along[:, 0] + from_y * along[:, 1]) / length, 0, 1)
        distance = np.square(from_x - t * along[:, 0]) + np.square(from_y - t * along[:, 1])
        width = rng.uniform(0.8, 1.3, (count, 1, 1)).astype(np.float32)
        ink = rng.uniform(0.6, 1.0, (count, 1, 1)).astype(np.float32)
        scene = np.maximum(scene, ink * np.exp(-distance / np.square(width)))
    return scene


def _exposed(scene: NDArray[np.float32], rng: Generator) -> Images:
    levels = 40 + 190 * scene + rng.normal(0, NOISE, scene.shape)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
