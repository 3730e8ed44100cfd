"""Null windows and null streams, resampled from a bank of single reference samples.

A stream goes through the bank in one random order after another, so that no window holds a sample twice: a sample
beside itself would look like two that resemble each other. Windows that are large beside the bank cannot be had so, and
would vary too little; they are drawn with replacement, which errs on the side of fewer alarms.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.null import Features, features, join
from driftwatch.stats.summary import Array, Layout

CHUNK_SAMPLES = 20_000
LARGEST_SHARE = 0.5
"""Of the bank that a window without repetition may hold."""


def repeats(longest: int, bank: int) -> bool:
    """Whether windows of `longest` samples are drawn with repetition from so small a bank.

    >>> repeats(500, 5_000), repeats(500, 900)
    (False, True)
    """
    return longest > LARGEST_SHARE * bank


def null_windows(
    bank: NDArray[np.float32], layout: Layout, size: int, *, count: int = 4_000, seed: int = 0
) -> Features:
    """Features of windows of `size` samples, side by side in a null stream from a bank ``(N, V)``."""
    return join([features(panes, layout) for panes in null_panes(bank, size, count, 1, np.random.default_rng(seed))])


def null_panes(
    bank: NDArray[np.float32],
    step: int,
    count: int,
    overlap: int,
    rng: np.random.Generator,
) -> Iterator[Array]:
    """Chunks of a null stream's panes; each starts with the last ``overlap - 1`` panes of the one before.

    Args:
        bank: summaries of single samples, ``(N, V)``.
        step: samples in a pane.
        count: panes in all.
        overlap: panes in the longest window.
        rng: of the draws.
    """
    history, left = np.empty((0, bank.shape[1])), count
    for fresh in _panes(bank, step, overlap * step, rng):
        panes = np.concatenate([history, fresh[:left]])
        left -= len(fresh)
        if len(panes) >= overlap:
            yield panes
        if left <= 0:
            return
        history = panes[max(0, len(panes) - (overlap - 1)) :]


def _draws(size: int, longest: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Numbers of samples, without end, a pass through all of them at a time; none twice in `longest` if that can be."""
    if repeats(longest, size):
        while True:
            yield rng.integers(0, size, size)
    order = rng.permutation(size)
    while True:
        yield order
        recent, order = order[size - longest :], rng.permutation(size)
        # Whatever came last is moved away from the start, in exchange for what did not.
        early = np.flatnonzero(np.isin(order[:longest], recent))
        late = longest + np.flatnonzero(~np.isin(order[longest:], recent))
        swapped = rng.permutation(late)[: len(early)]
        order[early], order[swapped] = order[swapped], order[early]


def _panes(bank: NDArray[np.float32], step: int, longest: int, rng: np.random.Generator) -> Iterator[Array]:
    """Panes of a null stream, without end, some at a time, ``(M, V)``."""
    left = np.empty(0, dtype=np.int64)
    for drawn in _draws(len(bank), longest, rng):
        left = np.concatenate([left, drawn])
        while len(left) >= step:
            whole = left[: min(len(left) // step, max(1, CHUNK_SAMPLES // step)) * step]
            left = left[len(whole) :]
            yield bank[whole].reshape(-1, step, bank.shape[1]).sum(1, dtype=np.float64)
