"""Null windows that are large relative to the held-out samples, each pair from a truth of its own.

A window of ``n`` samples differs from the reference by its own noise, ``1/n`` of a sample's variance, and by what the
held-out samples leave uncertain about the truth, ``1/N`` of it, which dominates in large windows. A null stream has few
stretches for such windows, so it would draw that uncertainty only a few times. Here, the truth is drawn anew for each
pair of windows, by `driftwatch.stats.resample.plausible_offsets`, and so are the windows, with replacement.

The alarm rate of such windows is estimated from many short stretches of a stream: the first window of a stretch is
drawn as a whole, and the others slide on from it by single panes. Every two stretches share one truth, which shows how
much the rates of different references differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.resample import CHUNK_VALUES, plausible_offsets, sums_of, sums_with_repetition
from driftwatch.stats.summary import Array

STRETCHES, STEPS = 4_000, 20
"""Stretches to simulate, and windows of each size in one stretch."""

AT_ONCE = 256
"""Stretches whose long parts are drawn in one matrix product."""

GATHERED = 0.1
"""Share of the bank up to which samples are summed one by one; sums of more are products with multiplicities."""


def large_windows(held_out: HeldOut, size: int, count: int, rng: np.random.Generator) -> Iterator[Array]:
    """Windows of `size` samples, each pair from another truth, in chunks ``(M, V)``; see `stretches`."""
    for chunk in stretches(held_out, [1], size, 1, count, rng):
        yield chunk[0]


def stretches(
    held_out: HeldOut, widths: Sequence[int], step: int, steps: int, count: int, rng: np.random.Generator
) -> Iterator[list[Array]]:
    """Windows that slide over short stretches of null streams, some stretches at a time.

    Args:
        held_out: the samples to draw from, with others outside the bank.
        widths: of the windows, in panes.
        step: samples per pane.
        steps: windows of each width per stretch.
        count: of stretches, an even number; every two consecutive ones share a truth.
        rng: of the draws.

    Yields:
        the windows of each width, ``(M * steps, V)``, grouped by stretch.
    """
    bank, mean, block, inflation = held_out.bank, held_out.mean, held_out.memory.block, held_out.memory.inflation
    ends = np.arange(steps)
    points = np.unique([ends, *(ends - width for width in widths)])
    lengths = np.diff(points) * step
    few = max(2, CHUNK_VALUES // (len(points) * bank.shape[1]))
    for start in range(0, count, AT_ONCE):
        among = min(AT_ONCE, count - start)
        centres = plausible_offsets(held_out, True, rng, -(-among // 2)).repeat(2, axis=0)[:among]
        long = {
            place: _products(bank, int(length), among, rng, block)
            for place, length in enumerate(lengths)
            if length > GATHERED * len(bank)
        }
        for first in range(0, among, few):
            chosen = slice(first, min(first + few, among))
            totals = np.zeros((chosen.stop - first, len(points), bank.shape[1]))
            for is_long, run in groupby(range(len(lengths)), key=lambda place: place in long):
                places = list(run)
                if is_long:
                    for place in places:
                        totals[:, place + 1] = long[place][chosen]
                else:
                    _gather(totals[:, places[0] + 1 : places[-1] + 2], bank, lengths[places], rng, block)
            totals *= inflation
            totals[:, 1:] += lengths[:, None] * ((1.0 - inflation) * mean + centres[chosen, None])
            np.cumsum(totals, axis=1, out=totals)
            last = np.searchsorted(points, ends)
            yield [
                (totals[:, last] - totals[:, np.searchsorted(points, ends - width)]).reshape(-1, bank.shape[1])
                for width in widths
            ]


def _gather(
    out: Array, bank: NDArray[np.float32], lengths: NDArray[np.int64], rng: np.random.Generator, block: int
) -> None:
    """Fill ``(K, L, V)`` with sums of consecutive samples, whose numbers are `lengths`, ``(L,)``."""
    numbers = _in_a_row(len(bank), len(out), int(lengths.sum()), rng, block)
    if len(set(lengths.tolist())) == 1:
        out[:] = sums_of(bank, numbers.ravel(), int(lengths[0])).reshape(out.shape)
        return
    for place, part in enumerate(np.split(numbers, np.cumsum(lengths)[:-1], axis=1)):
        out[:, place] = sums_of(bank, part.ravel(), part.shape[1])


def _in_a_row(size: int, rows: int, length: int, rng: np.random.Generator, block: int) -> NDArray[np.int64]:
    """Indices of consecutive samples of a stream, ``(rows, length)``, that starts anywhere within a block."""
    if block == 1:
        return rng.integers(0, size, (rows, length))
    place = rng.integers(block, size=(rows, 1)) + np.arange(length)
    starts = rng.integers(0, size, (rows, length // block + 2))
    return np.asarray((np.take_along_axis(starts, place // block, axis=1) + place % block) % size)


def _products(
    bank: NDArray[np.float32], length: int, rows: int, rng: np.random.Generator, block: int
) -> NDArray[np.float32]:
    """Sums of `length` samples each, ``(rows, V)``."""
    if block == 1:
        return sums_with_repetition(bank, length, rows, rng)
    size = len(bank)
    changes = np.zeros((rows, 2 * size + 1), dtype=np.int64)
    each = np.arange(rows)
    for begun in range(0, length, block):
        starts = rng.integers(0, size, rows)
        changes[each, starts] += 1
        changes[each, starts + min(block, length - begun)] -= 1
    twice = np.cumsum(changes, axis=1)
    counts = twice[:, :size] + twice[:, size : 2 * size]
    product: NDArray[np.float32] = counts.astype(np.float32) @ bank
    return product
