"""Null windows and null streams, resampled from a bank of single reference samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.null import Features, features, join
from driftwatch.stats.summary import Array, Layout

CHUNK_PANES = 1_000
CHUNK_SAMPLES = 20_000


def null_windows(
    bank: NDArray[np.float32], layout: Layout, size: int, *, count: int = 4_000, seed: int = 0
) -> Features:
    """Features of independent windows of `size` samples, resampled from a bank ``(N, V)``."""
    rng = np.random.default_rng(seed)
    chunk = max(1, CHUNK_SAMPLES // size)
    parts = []
    for start in range(0, count, chunk):
        drawn = rng.integers(0, len(bank), (min(chunk, count - start), size))
        parts.append(features(_sums(bank, drawn), layout))
    return join(parts)


def null_panes(
    bank: NDArray[np.float32], step: int, count: int, overlap: int, rng: np.random.Generator
) -> Iterator[Array]:
    """Chunks of a null stream's panes; each starts with the last ``overlap - 1`` panes of the one before."""
    history = _sums(bank, rng.integers(0, len(bank), (overlap - 1, step)))
    done = overlap - 1
    while done < count:
        fresh = _sums(bank, rng.integers(0, len(bank), (min(CHUNK_PANES, count - done), step)))
        done += len(fresh)
        panes = np.concatenate([history, fresh])
        yield panes
        history = panes[len(panes) - (overlap - 1) :]


def _sums(bank: NDArray[np.float32], drawn: NDArray[np.int64]) -> Array:
    """Sums of drawn rows: a bank ``(N, V)`` and indices ``(M, n)`` to ``(M, V)``."""
    out = np.zeros((len(drawn), bank.shape[1]))
    for column in range(drawn.shape[1]):
        out += bank[drawn[:, column]]
    return out
