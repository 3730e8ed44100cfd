"""Which rows of the data are equal: told by a hash of each row's contents, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xxhash
from numpy.typing import NDArray

from driftwatch.data.schema import Samples

MOST_HASHES = 1 << 23
"""Held at a time, of 8 bytes each; of more rows a share is looked at, by their hash: equal rows are together in it."""

MOST_TOGETHER = 4
"""So many equal rows are copies of one. What comes more often is what the data is like, and each part has its share."""

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Contents:
    """The hashes of rows.

    Args:
        hashes: of the rows that were looked at, in order, ``(M,)``.
        rows: in all, ``N``.
    """

    hashes: Hashes
    rows: int

    @property
    def complete(self) -> bool:
        """Whether every row was looked at."""
        return len(self.hashes) == self.rows

    @cached_property
    def _counts(self) -> NDArray[np.int64]:
        """How often each content comes."""
        return np.unique(self.hashes, return_counts=True)[1]

    @property
    def repeated(self) -> float:
        """The share of rows that equal one before."""
        return 1.0 - len(self._counts) / max(1, len(self.hashes))

    @property
    def most(self) -> int:
        """How often the commonest row comes."""
        return int(self._counts.max(initial=0))

    @cached_property
    def keys(self) -> Hashes | None:
        """What decides on the part of each row, ``(N,)``: the same for copies of one row, else a key of its own.

        None where not every row was looked at: then each row is for itself.
        """
        if not self.complete:
            return None
        _, places, counts = np.unique(self.hashes, return_inverse=True, return_counts=True)
        often = counts[places] > MOST_TOGETHER
        return np.where(often, self.hashes + np.arange(self.rows, dtype=np.uint64), self.hashes)


def contents_of(chunks: Iterable[Samples], rows: int, *, most: int = MOST_HASHES) -> Contents:
    """Looks at the contents of samples.

    Args:
        chunks: all samples, ``(n, *sample_shape)`` at a time.
        rows: how many there are.
        most: hashes to hold.
    """
    # A tenth in reserve: by a hash, so that about as many are taken.
    limit = np.uint64((1 << 64) - 1) if rows <= most else np.uint64(int(0.9 * most / rows * (1 << 64)))
    found = [hashes[hashes <= limit] for hashes in map(hash_rows, chunks)]
    return Contents(np.concatenate(found) if found else np.empty(0, dtype=np.uint64), rows)


def hash_rows(samples: Samples) -> Hashes:
    """A hash of each sample's contents; equal samples have equal ones, whatever the sign of their zeros.

    >>> first, second = hash_rows(np.array([[0.0, np.nan], [-0.0, -np.nan]]))
    >>> bool(first == second)
    True
    """
    plain = samples.reshape(len(samples), -1) + samples.dtype.type(0.0)
    plain[np.isnan(plain)] = np.nan
    return np.fromiter((xxhash.xxh3_64_intdigest(row) for row in plain), np.uint64, len(plain))
