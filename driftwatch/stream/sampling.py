"""Which samples of a message are watched: chosen by hash, so that every replica and every replay chooses the same."""

from __future__ import annotations

import numpy as np
import xxhash
from numpy.typing import NDArray

from driftwatch.stream.log import Record

HASHES = 1 << 64


def watched(record: Record, count: int, fraction: float) -> NDArray[np.intp]:
    """Indices of the samples of a message that are watched.

    Args:
        record: the message.
        count: samples in it.
        fraction: of all samples to watch, in ``(0, 1]``.
    """
    if fraction >= 1.0:
        return np.arange(count)
    place = f"{record.topic}/{record.partition}/{record.offset}".encode()
    limit = int(fraction * HASHES)
    chosen = [i for i in range(count) if xxhash.xxh64_intdigest(place, seed=i) < limit]
    return np.array(chosen, dtype=np.intp)
