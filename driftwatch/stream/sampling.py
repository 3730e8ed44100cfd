"""Which messages and samples are processed: chosen by hash, so that every replica and every replay chooses the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from driftwatch.stream.log import Record

HASHES = 1 << 64


@dataclass(frozen=True)
class Share:
    """The part of a partition's messages that is processed, in ``(0, 1]``, and the offset from which it applies."""

    part: float = 1.0
    since: int = 0


ALL = Share()


def in_share(record: Record, share: Share) -> bool:
    """Whether a message is in a share; a message in a small share is in all larger ones."""
    if share.part >= 1.0:
        return True
    place = f"{record.topic}/{record.partition}/{record.offset}/shed".encode()
    return xxhash.xxh64_intdigest(place) < int(share.part * HASHES)


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
