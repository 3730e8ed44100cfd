"""Null windows and null streams, resampled from a bank of single reference samples.

A stream passes through the bank in one random order after another, so no window contains a sample twice: duplicates
would look like samples that resemble each other. Windows that are large relative to the bank cannot avoid that, so they
are drawn with replacement.

A bank cannot show the error of its own mean, nor that of the other held-out samples, which are the origin of all
measurements. This error is the same in every window, so it matters more the larger a window is: ignoring it gave
windows of the bank's own size p-values of 1e-3 on plain reference data. So each stretch of a stream is shifted to
another mean that is plausible given the held-out samples (`plausible_offsets`).

If the stream has memory, blocks of consecutive samples are drawn together (see `driftwatch.stats.memory`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import embedding_bag

from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.null import Features, features, join
from driftwatch.stats.summary import Array, Layout

CHUNK_VALUES = 1 << 20
"""Values in the panes drawn at once: more would not fit a processor's cache, and would take several times as long."""

LEAST_PANES = 64
LARGEST_SHARE = 0.5
"""Largest share of the bank that a window drawn without replacement may contain."""

NEGLIGIBLE_SHARE = 0.01
"""Share of the bank up to which the error of the bank's mean makes no difference to a window."""

STRETCH = 4
"""Least length, in windows of the longest size, of a stretch that has one mean."""


def repeats(longest: int, bank: int) -> bool:
    """Whether windows of `longest` samples must be drawn with replacement from a bank of `bank` samples.

    >>> repeats(500, 5_000), repeats(500, 900)
    (False, True)
    """
    return longest > LARGEST_SHARE * bank


def is_large(size: int, bank: int) -> bool:
    """Whether windows of `size` samples are large relative to a bank: too large to be drawn from half of it.

    >>> is_large(500, 5_000), is_large(5_000, 5_000)
    (False, True)
    """
    return repeats(size, bank // 2)


def null_windows(held_out: HeldOut, layout: Layout, size: int, *, count: int = 4_000, seed: int = 0) -> Features:
    """Features of `count` consecutive windows of `size` samples of a null stream."""
    bank, rng = held_out.bank, np.random.default_rng(seed)
    if held_out.others is None and held_out.memory.block == 1 and repeats(size, len(bank)):
        return features(sums_with_repetition(bank, size, count, rng).astype(np.float64), layout)
    drawn = null_panes(held_out, size, count, size, rng)
    return join([features(panes, layout) for panes in drawn])


def null_panes(held_out: HeldOut, step: int, count: int, longest: int, rng: np.random.Generator) -> Iterator[Array]:
    """The panes of a null stream, in chunks ``(M, V)``.

    Args:
        held_out: the samples to draw from.
        step: samples per pane.
        count: panes in all.
        longest: samples in the longest window.
        rng: of the draws.
    """
    bank, mean, memory = held_out.bank, held_out.mean, held_out.memory
    offsets = np.zeros((1, bank.shape[1]))
    if held_out.others is not None and longest > NEGLIGIBLE_SHARE * len(bank):
        stretches = -(-count * step // (STRETCH * longest))
        offsets = plausible_offsets(held_out, repeats(longest, len(bank)), rng, stretches)
    most = min(count, max(LEAST_PANES, CHUNK_VALUES // bank.shape[1]))
    samples = _in_stretches(_draws(len(bank), longest, rng, memory.block), STRETCH * longest, len(offsets))
    for numbers, stretch in _rechunked(samples, most * step):
        panes = min(most, count)
        sums = sums_of(bank, numbers[: panes * step], step)
        if memory.block > 1:
            sums = step * mean + memory.inflation * (sums - step * mean)
        # A pane that lies in two stretches belongs to the later one.
        yield sums + step * offsets[stretch[step - 1 : panes * step : step]]
        count -= panes
        if not count:
            return


def _in_stretches(
    passes: Iterable[NDArray[np.int64]], least: int, stretches: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Each pass, and the stretch that its samples belong to: whole passes of `least` samples or more, in turns."""
    stretch, left = -1, 0
    for drawn in passes:
        if left <= 0:
            stretch, left = (stretch + 1) % stretches, least
        left -= len(drawn)
        yield drawn, np.full(len(drawn), stretch)


def _rechunked(parts: Iterable[tuple[NDArray[np.int64], ...]], length: int) -> Iterator[tuple[NDArray[np.int64], ...]]:
    """Arrays side by side, cut anew into parts of the same length."""
    held, count = list[tuple[NDArray[np.int64], ...]](), 0
    for part in parts:
        # Joined once there are enough of them: joining one by one would copy all earlier ones each time.
        held.append(part)
        count += len(part[0])
        if count < length:
            continue
        joined = [np.concatenate(each) for each in zip(*held, strict=True)]
        for start in range(0, count - length + 1, length):
            yield tuple(each[start : start + length] for each in joined)
        rest = count % length
        held, count = [tuple(each[count - rest :] for each in joined)], rest


def sums_of(bank: NDArray[np.float32], numbers: NDArray[np.int64], step: int) -> Array:
    """The sum of every `step` consecutive rows of the bank, by row number, ``(M * step,)`` to ``(M, V)``."""
    # Sums rows in place: gathering them first takes several times as long.
    bags = torch.from_numpy(numbers).reshape(-1, step)
    return np.asarray(embedding_bag(bags, torch.from_numpy(bank), mode="sum"), dtype=np.float64)


def sums_with_repetition(
    bank: NDArray[np.float32], length: int, rows: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Sums of `length` samples each, drawn with replacement, ``(rows, V)``, by one matrix product."""
    counts = rng.multinomial(length, np.full(len(bank), 1.0 / len(bank)), rows)
    # A mean in float32 is off by less than the effect of one sample more or less.
    product: NDArray[np.float32] = counts.astype(np.float32) @ bank
    return product


def plausible_offsets(held_out: HeldOut, repeated: bool, rng: np.random.Generator, count: int) -> Array:
    """Plausible differences between the true mean summary and the bank's, given all held-out samples.

    The best estimate is the mean of bank and others together, ``B + M`` samples; its variance is ``1/(B + M)`` of a
    sample's (by the bootstrap). Windows drawn without replacement vary by ``1/B`` less than fresh ones, which is
    corrected for here.

    Args:
        held_out: the samples, with others outside the bank.
        repeated: whether windows are drawn with replacement.
        rng: of the draws.
        count: of the draws.

    Returns:
        ``(count, V)``, to be added once per sample.
    """
    bank, others, memory, mean = held_out.bank, held_out.others, held_out.memory, held_out.mean
    if others is None:
        raise ValueError("the error of the bank's mean is unknown without held-out samples outside the bank")
    size, block = len(bank), memory.block
    weights = rng.poisson(1.0, (count, -(-size // block))).astype(np.float32).repeat(block, axis=1)[:, :size]
    weights[weights.sum(1) == 0] = 1.0  # few blocks may all get weight 0: no information, so no offset
    drawn = (weights / weights.sum(1, keepdims=True)) @ bank - mean
    every = size + others[0]
    spread = size / every + (0.0 if repeated else 1.0)
    return np.asarray((size * mean + others) / every - mean + memory.inflation * spread**0.5 * drawn)


def _draws(size: int, longest: int, rng: np.random.Generator, block: int) -> Iterator[NDArray[np.int64]]:
    """Endless sample numbers, one pass through the bank at a time; without repeats in any `longest`, where possible."""
    if block > 1:
        # Blocks start elsewhere in each pass; a remainder shorter than a block is left out.
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
        # Swap the last samples of the previous pass away from the start of this one.
        early = np.flatnonzero(is_recent[order[:longest]])
        late = longest + np.flatnonzero(~is_recent[order[longest:]])
        swapped = rng.permutation(late)[: len(early)]
        order[early], order[swapped] = order[swapped], order[early]
