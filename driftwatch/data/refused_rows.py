"""Skipping of single rows that cannot be read, so that one of them does not stop the work on all others."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.errors import DataError, MessageError

Indices = Sequence[int] | NDArray[np.int64]
"""Row indices, ascending."""

TOLERATED = 100
"""Rows that may be refused even if fewer could be read."""


def is_most(refused: int, read: int) -> bool:
    """Whether most rows of the data are refused, apart from `TOLERATED` ones.

    >>> is_most(100, 0), is_most(101, 0), is_most(101, 101)
    (False, True, False)
    """
    return refused > max(TOLERATED, read)


@dataclass(frozen=True)
class RefusedRow:
    """A row that cannot be read.

    Args:
        index: of the row, from 0.
        where: in the row.
        reason: why it cannot be read.
    """

    index: int
    where: str
    reason: str

    def __str__(self) -> str:
        return f"index {self.index}{', ' if self.where else ''}{self.where}: {self.reason}"


def data_error(error: MessageError, place: str, row: int, expected: str, file: str = "") -> DataError:
    """The error for some rows of a data set: for one of them, numbered from the first row of all, or for all of them.

    Args:
        error: of these rows.
        place: of the data.
        row: index of the bad row, or of the first of these rows.
        expected: what rows should be like, as a remedy if the error has none.
        file: that contains the row.
    """
    noun, what = _parted(error)
    rows = f"rows from {row}" if error.row is None else f"{noun} {row}"
    rows += f" in {file}" if file else ""
    where = f"{place}, {rows}" + (f", {error.where}" if error.where else "")
    return DataError(what, where=where, remedy=error.remedy or expected)


def _parted(error: MessageError) -> tuple[str, str]:
    """What a row is called if the error is about one, and the problem without that row's number."""
    if error.row is None:
        return "", error.what
    noun, _, what = error.what.split(" ", 2)
    return noun, what


class Refusals:
    """The refused rows of a data set, in order: `rows`.

    Data of which most rows cannot be read is not data with bad rows, but of another kind, which is still an error.
    """

    def __init__(self) -> None:
        self.rows: list[RefusedRow] = []
        self._read = 0
        self._first: DataError | None = None
        self._before = np.empty(0, dtype=np.int64)

    def read(self, rows: int) -> None:
        """Count rows that could be read."""
        self._read += rows

    def sift(
        self,
        piece: Any,
        coerce: Callable[[Any], NDArray[np.floating]],
        indices: Indices,
        error: DataError,
        file_of: Callable[[int], str],
    ) -> list[NDArray[np.floating]]:
        """The readable rows of a piece, in order.

        Args:
            piece: rows that cannot be read together; can be sliced.
            coerce: reads rows.
            indices: of the rows.
            error: of the whole piece.
            file_of: the file that contains a row, by its index.
        """
        found: list[NDArray[np.floating]] = []
        before = len(self.rows)
        cuts = [(0, len(piece))]
        while cuts:
            start, end = cuts.pop()
            try:
                found.append(coerce(piece[start:end]))
                self.read(end - start)
            except MessageError as fault:
                if end - start > 1:
                    middle = (start + end) // 2
                    cuts += [(middle, end), (start, middle)]
                    continue
                reason = _parted(fault)[1] + (f" ({fault.remedy})" if fault.remedy else "")
                index = int(indices[start])
                where = ", ".join(filter(None, (file_of(index), fault.where)))
                self.refuse(RefusedRow(index, where, reason), error)
                if is_most(len(self.rows) - before, self._read):
                    break
        return found

    def refuse(self, row: RefusedRow, error: DataError) -> None:
        """Skip a row.

        Args:
            row: that cannot be read.
            error: to raise if this is the first refused row, and most rows turn out to be unreadable.
        """
        self._first = self._first or error
        insort(self.rows, row, key=attrgetter("index"))

    def require_most(self, index: int) -> None:
        """Raise an error if most rows so far could not be read, apart from `TOLERATED` ones.

        Args:
            index: of the last row that was read; later invalid lines may already be known.

        Raises:
            DataError: most rows so far are unreadable.
        """
        refused = bisect_right(self.rows, index, key=attrgetter("index"))
        if self._first and is_most(refused, self._read):
            raise self._first

    def conclude(self) -> None:
        """Raise an error if most rows could not be read, or none could.

        Raises:
            DataError: most rows are unreadable.
        """
        if self._first and (not self._read or is_most(len(self.rows), self._read)):
            raise self._first

    def index_of(self, place: NDArray[Any]) -> NDArray[np.int64]:
        r"""Convert positions among the readable rows to indices in the data.

        >>> refusals = Refusals()
        >>> for index in (1, 2, 5):
        ...     refusals.refuse(RefusedRow(index, "", "is bad"), DataError(""))
        >>> print(*refusals.rows, sep="\n")
        index 1: is bad
        index 2: is bad
        index 5: is bad
        >>> refusals.index_of(np.arange(4)).tolist()
        [0, 3, 4, 6]
        """
        if len(self._before) < len(self.rows):
            self._before = np.array([row.index for row in self.rows], dtype=np.int64) - np.arange(len(self.rows))
        return np.asarray(place + np.searchsorted(self._before, place, side="right"))
