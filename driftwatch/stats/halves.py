"""Sources of simulated streams: a different half of the held-out samples for each stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.resample import repeats
from driftwatch.stats.summary import Array

SPLITS = 16
"""Streams to simulate, each from a different half of the bank."""

LEAST_SPLITS = 4
"""With fewer streams, halves are not used."""

SHORTEST = 20
"""Least length of the stream from one half, in windows of the longest size."""

PARTS = 64
"""Contiguous parts of a bank, half of which make up a half, so that neighbouring samples stay together."""

LEAST_PARTS, BLOCKS_IN_PART = 8, 4
"""Parts of a bank that is drawn from in blocks: shorter parts would cut through more of its memory than blocks do."""

CERTAIN = 1e9
"""Weight, in samples, of a mean that is taken as exact."""

Half = tuple[NDArray[np.intp], Array | None]
"""Indices into a bank to draw a stream from, and the summary of the other held-out samples."""


def halves(held_out: HeldOut, longest: int, samples: int, rng: np.random.Generator) -> list[Half]:
    """Choose what each simulated stream is drawn from: a different half of the bank, and the others beside it.

    Streams from the whole bank would all alarm as often as its particular samples make them. The rate of fresh streams
    varies from one bank to another, and the mean over that variation is what a budget is about, so simulated streams
    vary alike: half a bank is as far from the whole as the whole is from the truth. The mean of each half is pulled
    towards the best estimate, within what all held-out samples leave possible.

    Args:
        held_out: all held-out samples.
        longest: samples in the longest window.
        samples: to simulate in all.
        rng: of the draws.

    Returns:
        indices into the bank, and others, for each stream; the whole bank, once, if halves or `samples` are too few.
    """
    bank, others, block = held_out.bank, held_out.others, held_out.memory.block
    count = min(SPLITS, samples // (SHORTEST * longest))
    if count < LEAST_SPLITS or repeats(longest, len(bank) // 2):
        return [(np.arange(len(bank)), others)]
    parts = PARTS if block == 1 else min(PARTS, max(LEAST_PARTS, len(bank) // (BLOCKS_IN_PART * block)))
    part = np.arange(len(bank)) * parts // len(bank)
    drawn = [np.flatnonzero(rng.permutation(parts)[part] < parts // 2) for _ in range(count)]
    if others is None:
        return [(half, None) for half in drawn]
    total = bank.sum(0, dtype=np.float64)
    every = len(bank) + others[0]
    best, drawn_in = (total + others) / every, (len(bank) / every) ** 0.5
    means = [bank[half].mean(0, dtype=np.float64) for half in drawn]
    return [
        (half, CERTAIN * (best + drawn_in * (mean - total / len(bank))))
        for half, mean in zip(drawn, means, strict=True)
    ]
