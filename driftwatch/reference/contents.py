"""Duplicate rows in a data set, found by hashing each row's contents, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xxhash
from numpy.typing import NDArray

from driftwatch.data.schema import Samples

MOST_HASHES = 1 << 23
"""Most hashes in memory, 8 bytes each. Of more rows a sample is taken by hash value, so equal rows stay together."""

MOST_TOGETHER = 4
"""Up to so many equal rows count as copies. More frequent ones are typical of the data, and spread over all parts."""

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Contents:
    """The hashes of a data set's rows.

    Args:
        hashes: of the rows that were hashed, in order, ``(M,)``.
        rows: in the whole data set, ``N``.
    """

    hashes: Hashes
    rows: int

    @property
    def complete(self) -> bool:
        """Whether every row was hashed."""
        return len(self.hashes) == self.rows

    @cached_property
    def _counts(self) -> NDArray[np.int64]:
        """The number of rows with each content."""
        return np.unique(self.hashes, return_counts=True)[1]

    @property
    def repeated(self) -> float:
        """The share of rows that repeat an earlier row."""
        return 1.0 - len(self._counts) / max(1, len(self.hashes))

    @property
    def most(self) -> int:
        """The number of copies of the most frequent row."""
        return int(self._counts.max(initial=0))

    @cached_property
    def keys(self) -> Hashes | None:
        """The key that assigns each row to a part, ``(N,)``: equal for copies of one row, otherwise unique.

        None if not every row was hashed; then each row is assigned by itself.
        """
        if not self.complete:
            return None
        _, places, counts = np.unique(self.hashes, return_inverse=True, return_counts=True)
        often = counts[places] > MOST_TOGETHER
        return np.where(often, self.hashes + np.arange(self.rows, dtype=np.uint64), self.hashes)


def contents_of(chunks: Iterable[Samples], rows: int, *, most: int = MOST_HASHES) -> Contents:
    """Hash the contents of samples.

    Args:
        chunks: all samples, in chunks ``(n, *sample_shape)``.
        rows: number of samples.
        most: largest number of hashes to keep.
    """
    # Sampling by hash value takes only about the intended number, so a tenth is kept in reserve.
    limit = np.uint64((1 << 64) - 1) if rows <= most else np.uint64(int(0.9 * most / rows * (1 << 64)))
    found = [hashes[hashes <= limit] for hashes in map(hash_rows, chunks)]
    return Contents(np.concatenate(found) if found else np.empty(0, dtype=np.uint64), rows)


def hash_rows(samples: Samples) -> Hashes:
    """A hash of each sample's contents; equal samples have equal hashes, whatever the sign of zeros and NaNs.

    >>> first, second = hash_rows(np.array([[0.0, np.nan], [-0.0, -np.nan]]))
    >>> bool(first == second)
    True
    """
    plain = samples.reshape(len(samples), -1) + samples.dtype.type(0.0)
    plain[np.isnan(plain)] = np.nan
    return np.fromiter((xxhash.xxh3_64_intdigest(row) for row in plain), np.uint64, len(plain))
