"""Windows, drawn once for all contenders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def draw(rng: np.random.Generator, fresh: int, shifted: int, size: int, count: int, share: float) -> Rows:
    """Row numbers of `count` windows, ``(count, size)``, among `fresh` rows followed by `shifted` ones.

    A window contains no row twice if there are enough rows. If ``share * size`` is not an integer, the number of
    shifted samples is rounded down in some windows and up in others.
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
