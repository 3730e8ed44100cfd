"""Null windows that are large beside the held-out samples, each from a world of its own.

A window of ``n`` samples differs from the reference by its own chance, ``1/n`` of a sample's variance, and by what the
held-out samples leave unknown of the truth, ``1/N`` of it: of large windows the latter is the greater part. A null
stream has a handful of stretches for them, so that it would be drawn a handful of times. So it is drawn anew for each
pair of windows, by `driftwatch.stats.resample.plausible_offsets`, and so are windows, with repetition.

The rate at which such windows alarm is told from as many short stretches of a stream: the first window of one is drawn
as a whole, the others slide on from it by single panes. Two stretches share one truth, which tells by how much the
rates of one reference and another differ.
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
"""That are simulated, and the windows of each size in one."""

AT_ONCE = 256
"""Stretches whose long parts are drawn in one product of matrices."""

GATHERED = 0.1
"""Of the bank: fewer samples are added up one by one, more of them by a product with how often each is in."""


def large_windows(held_out: HeldOut, size: int, count: int, rng: np.random.Generator) -> Iterator[Array]:
    """Windows of `size` samples, each two from another truth, some at a time, ``(M, V)``; otherwise as `stretches`."""
    for chunk in stretches(held_out, [1], size, 1, count, rng):
        yield chunk[0]


def stretches(
    held_out: HeldOut, widths: Sequence[int], step: int, steps: int, count: int, rng: np.random.Generator
) -> Iterator[list[Array]]:
    """Windows that slide over short stretches of null streams, some stretches at a time.

    Args:
        held_out: what they are drawn from, with others beside the bank.
        widths: of the windows, panes.
        step: samples in a pane.
        steps: windows of each width in a stretch.
        count: of stretches, an even number; each two in a row are from one truth.
        rng: of the draws.

    Yields:
        windows of each width, ``(M * steps, V)``, those of one stretch in a row.
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
    """Fills ``(K, L, V)`` with sums of so many samples each, ``(L,)``, that follow each other."""
    numbers = _in_a_row(len(bank), len(out), int(lengths.sum()), rng, block)
    if len(set(lengths.tolist())) == 1:
        out[:] = sums_of(bank, numbers.ravel(), int(lengths[0])).reshape(out.shape)
        return
    for place, part in enumerate(np.split(numbers, np.cumsum(lengths)[:-1], axis=1)):
        out[:, place] = sums_of(bank, part.ravel(), part.shape[1])


def _in_a_row(size: int, rows: int, length: int, rng: np.random.Generator, block: int) -> NDArray[np.int64]:
    """Numbers of samples in the order of a stream, ``(rows, length)``, which begins anywhere in a block."""
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
