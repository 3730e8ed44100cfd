"""Windows, drawn once and given to every contender."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def draw(rng: np.random.Generator, fresh: int, shifted: int, size: int, count: int, share: float) -> Rows:
    """Row numbers of `count` windows, ``(count, size)``, among `fresh` rows followed by `shifted` ones.

    A window holds no row twice where there are enough. Of ``share * size`` shifted samples that are no whole number,
    some windows hold one less and some one more.
    """
    foreign = np.floor(share * size + rng.random(count)).astype(int)
    out = np.empty((count, size), dtype=np.int64)
    for window, k in zip(out, foreign, strict=True):
        window[: size - k] = _some(rng, fresh, size - k)
        window[size - k :] = fresh + _some(rng, shifted, k)
    return out


def _some(rng: np.random.Generator, rows: int, count: int) -> Rows:
    if count > rows:
        return rng.integers(0, rows, count)
    return rng.choice(rows, count, replace=False, shuffle=False)
