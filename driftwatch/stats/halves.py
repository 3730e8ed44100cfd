"""What simulated streams are drawn from: half of the held-out samples, another one for each stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.resample import repeats
from driftwatch.stats.summary import Array

SPLITS = 16
"""Streams that are simulated, each from another half of the bank."""

LEAST_SPLITS = 4
SHORTEST = 20
"""Of the longest windows: the stream from a half of a bank."""

PARTS = 64
"""Of a bank, each of one piece, of which half make a half: samples that are neighbours stay so."""

LEAST_PARTS, BLOCKS_IN_PART = 8, 4
"""Of a bank that is drawn from in blocks: shorter parts than these would cut more of its memory than blocks do."""

CERTAIN = 1e9
"""Samples, as it were, that a mean rests on which is not to be doubted."""

Half = tuple[NDArray[np.intp], Array | None]
"""Places in a bank that a stream is drawn from, and the summary of the others beside them."""


def halves(held_out: HeldOut, longest: int, samples: int, rng: np.random.Generator) -> list[Half]:
    """What each simulated stream is drawn from: half the bank, another one each time, and the others beside it.

    Streams from the whole bank would alarm as often as its own samples make it. How often a fresh stream alarms varies
    from one bank to another, and so that its mean is kept, simulated streams vary alike: half a bank is as far from the
    whole as that is from the truth. But its mean is drawn in to what all held-out samples leave possible.

    Args:
        held_out: all samples.
        longest: samples in the longest window.
        samples: that are to be simulated in all.
        rng: of the draws.

    Returns:
        places in the bank, and others, for each stream; all of the bank, once, if its halves or `samples` are too few.
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
