"""Null windows and null streams, resampled from a bank of single reference samples.

A stream goes through the bank in one random order after another, so that no window holds a sample twice: a sample
beside itself would look like two that resemble each other. Windows that are large beside the bank cannot be had so, and
are drawn with replacement.

What a bank cannot show is by how much its own mean, and that of the other held-out samples which all are measured from,
are off the true one. It is the same error in every window, so it counts for more the larger a window is: without it,
windows of the bank's own size had p-values of 1e-3 on plain reference data. So each stretch of a stream is moved to
another mean that the held-out samples leave possible (`plausible_offsets`).

Of a stream with memory the bank holds blocks of samples in a row, drawn as wholes (see `driftwatch.stats.memory`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import embedding_bag

from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.null import Features, features, join
from driftwatch.stats.summary import Array, Layout

CHUNK_VALUES = 1 << 20
"""Of the panes that are drawn at once: more would not stay in a processor's cache, and take several times as long."""

LEAST_PANES = 64
LARGEST_SHARE = 0.5
"""Of the bank that a window without repetition may hold."""

NEGLIGIBLE_SHARE = 0.01
"""Of the bank: in windows no larger than this share, the error of its mean makes no difference."""

STRETCH = 4
"""Windows of the longest size, at least, in a stretch that has one mean."""


def repeats(longest: int, bank: int) -> bool:
    """Whether windows of `longest` samples are drawn with repetition from so small a bank.

    >>> repeats(500, 5_000), repeats(500, 900)
    (False, True)
    """
    return longest > LARGEST_SHARE * bank


def is_large(size: int, bank: int) -> bool:
    """Whether windows of `size` samples are large beside a bank: half of it could not give them without repetition.

    >>> is_large(500, 5_000), is_large(5_000, 5_000)
    (False, True)
    """
    return repeats(size, bank // 2)


def null_windows(held_out: HeldOut, layout: Layout, size: int, *, count: int = 4_000, seed: int = 0) -> Features:
    """Features of `count` windows of `size` samples, side by side in a null stream."""
    bank, rng = held_out.bank, np.random.default_rng(seed)
    if held_out.others is None and held_out.memory.block == 1 and repeats(size, len(bank)):
        return features(sums_with_repetition(bank, size, count, rng).astype(np.float64), layout)
    drawn = null_panes(held_out, size, count, size, rng)
    return join([features(panes, layout) for panes in drawn])


def null_panes(held_out: HeldOut, step: int, count: int, longest: int, rng: np.random.Generator) -> Iterator[Array]:
    """The panes of a null stream, some at a time, ``(M, V)``.

    Args:
        held_out: what it is drawn from.
        step: samples in a pane.
        count: panes in all.
        longest: samples in the longest window.
        rng: of the draws.
    """
    bank, mean, memory = held_out.bank, held_out.mean, held_out.memory
    offsets = np.zeros((1, bank.shape[1]))
    if held_out.others is not None and longest > NEGLIGIBLE_SHARE * len(bank):
        stretches = -(-count * step // (STRETCH * longest))
        offsets = plausible_offsets(held_out, repeats(longest, len(bank)), rng, stretches)
    at_once = max(LEAST_PANES, CHUNK_VALUES // bank.shape[1])
    # Passes are joined once there are enough: one by one, each would copy all before it.
    passes, stretches_of, held, whole = list[NDArray[np.int64]](), list[NDArray[np.int64]](), 0, 0
    stretch, left = -1, 0
    for drawn in _draws(len(bank), longest, rng, memory.block):
        if left <= 0:
            stretch, left = (stretch + 1) % len(offsets), STRETCH * longest
        left -= len(drawn)
        passes.append(drawn)
        held += len(drawn)
        stretches_of.append(np.full(held // step - whole, stretch))
        whole = held // step
        if whole < min(at_once, count):
            continue
        numbers, moved = np.concatenate(passes), np.concatenate(stretches_of)
        while len(moved) >= min(at_once, count):
            panes = min(at_once, count)
            sums = sums_of(bank, numbers[: panes * step], step)
            if memory.block > 1:
                sums = step * mean + memory.inflation * (sums - step * mean)
            yield sums + step * offsets[moved[:panes]]
            numbers, moved, count = numbers[panes * step :], moved[panes:], count - panes
            if not count:
                return
        passes, stretches_of, held, whole = [numbers], [moved], len(numbers), len(moved)


def sums_of(bank: NDArray[np.float32], numbers: NDArray[np.int64], step: int) -> Array:
    """The sums of every `step` rows of the bank, ``(M, V)``, of ``M * step`` numbers of rows."""
    # Adds rows up where they are: gathering them first takes several times as long.
    bags = torch.from_numpy(numbers).reshape(-1, step)
    return np.asarray(embedding_bag(bags, torch.from_numpy(bank), mode="sum"), dtype=np.float64)


def sums_with_repetition(
    bank: NDArray[np.float32], length: int, rows: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Sums of `length` samples each, drawn with repetition, ``(rows, V)``: one product, however many they are."""
    counts = rng.multinomial(length, np.full(len(bank), 1.0 / len(bank)), rows)
    # What a mean of float32 has lost is less than what one sample more or less would change.
    product: NDArray[np.float32] = counts.astype(np.float32) @ bank
    return product


def plausible_offsets(held_out: HeldOut, repeated: bool, rng: np.random.Generator, count: int) -> Array:
    """By how much the true mean summary may be off the bank's: draws from what the held-out samples leave possible.

    The best guess is the mean of bank and others together, ``B + M`` samples, and it is known to ``1/(B + M)`` of a
    sample's variance (by the bootstrap). Windows without repetition vary by ``1/B`` less than fresh ones, which is made
    up for here.

    Args:
        held_out: the samples, with others beside the bank.
        repeated: whether windows are drawn with repetition.
        rng: of the draws.
        count: of the draws.

    Returns:
        ``(count, V)``, to be added once for each sample.
    """
    bank, others, memory, mean = held_out.bank, held_out.others, held_out.memory, held_out.mean
    if others is None:
        raise ValueError("without others beside the bank nothing is known of its mean")
    size, block = len(bank), memory.block
    weights = rng.poisson(1.0, (count, -(-size // block))).astype(np.float32).repeat(block, axis=1)[:, :size]
    weights[weights.sum(1) == 0] = 1.0  # of few blocks, none at all may be drawn: that says nothing, and moves nothing
    drawn = (weights / weights.sum(1, keepdims=True)) @ bank - mean
    every = size + others[0]
    spread = size / every + (0.0 if repeated else 1.0)
    return np.asarray((size * mean + others) / every - mean + memory.inflation * spread**0.5 * drawn)


def _draws(size: int, longest: int, rng: np.random.Generator, block: int) -> Iterator[NDArray[np.int64]]:
    """Numbers of samples, without end, a pass through all of them at a time; none twice in `longest` if that can be."""
    if block > 1:
        # Blocks start elsewhere in each pass; what does not fill one is left out.
        for order in _draws(size // block, -(-longest // block) + 1, rng, 1):
            yield ((order[:, None] * block + np.arange(block)).ravel() + rng.integers(size)) % size
    if repeats(longest, size):
        while True:
            yield rng.integers(0, size, size)
    order = rng.permutation(size)
    while True:
        yield order
        is_recent = np.zeros(size, dtype=bool)
        is_recent[order[size - longest :]] = True
        order = rng.permutation(size)
        # Whatever came last is moved away from the start, in exchange for what did not.
        early = np.flatnonzero(is_recent[order[:longest]])
        late = longest + np.flatnonzero(~is_recent[order[longest:]])
        swapped = rng.permutation(late)[: len(early)]
        order[early], order[swapped] = order[swapped], order[early]
