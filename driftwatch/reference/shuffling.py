"""Shuffling of a stream of samples in bounded memory, and batching."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from driftwatch.data.schema import Samples

EMITTED_ROWS = 2048


def shuffled(chunks: Iterable[Samples], capacity: int, rng: np.random.Generator) -> Iterator[Samples]:
    """Shuffle samples through a buffer: each new one takes a random place and emits the sample that was there.

    A sample waits for `capacity` others on average; if all samples fit into the buffer, the shuffle is exact.

    Args:
        chunks: arrays ``(n, ...)`` of at most `capacity` rows.
        capacity: rows of the buffer.
        rng: of the order.

    Yields:
        The same rows in another order, in chunks.
    """
    buffer: Samples | None = None
    held = 0
    for chunk in chunks:
        if buffer is None:
            buffer = np.empty((capacity, *chunk.shape[1:]), dtype=chunk.dtype)
        fitting = min(len(chunk), capacity - held)
        buffer[held : held + fitting] = chunk[:fitting]
        held += fitting
        if fitting < len(chunk):
            places = rng.choice(capacity, len(chunk) - fitting, replace=False)
            leaving = buffer[places]
            buffer[places] = chunk[fitting:]
            yield leaving
    if buffer is not None:
        order = rng.permutation(held)
        for start in range(0, held, EMITTED_ROWS):
            yield buffer[order[start : start + EMITTED_ROWS]]


def batched(chunks: Iterable[Samples], size: int, count: int) -> Iterator[Samples]:
    """Cut chunks of any length into the first `count` batches of exactly `size` rows; a remainder is dropped."""
    rest: Samples | None = None
    for chunk in chunks:
        rows = chunk if rest is None or len(rest) == 0 else np.concatenate([rest, chunk])
        full = min(len(rows) // size, count)
        for start in range(0, full * size, size):
            yield rows[start : start + size]
        count -= full
        if count == 0:
            return
        rest = rows[full * size :]
