"""Rows that cannot be read, left out one by one, so that one of them does not end the work on all."""

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
"""Of rows, ascending."""

TOLERATED = 100
"""Rows that may be refused even if they are more than those that can be read."""


def is_most(refused: int, read: int) -> bool:
    """Whether so many refused rows beside those that could be read are most of the data, a few aside.

    >>> is_most(100, 0), is_most(101, 0), is_most(101, 101)
    (False, True, False)
    """
    return refused > max(TOLERATED, read)


@dataclass(frozen=True)
class RefusedRow:
    """A row that cannot be read.

    Args:
        index: of it, from 0.
        where: in it.
        reason: that speaks against it.
    """

    index: int
    where: str
    reason: str

    def __str__(self) -> str:
        return f"index {self.index}{', ' if self.where else ''}{self.where}: {self.reason}"


def data_error(error: MessageError, place: str, row: int, expected: str, file: str = "") -> DataError:
    """What is wrong with some rows of data: with one of them, counted from the first of all, or with all of these.

    Args:
        error: of these rows.
        place: of the data.
        row: index of the one that is wrong, or of the first of them.
        expected: what they are to be, for a remedy if there is no other.
        file: of the data that this row is in.
    """
    noun, what = _parted(error)
    told = f"rows from {row}" if error.row is None else f"{noun} {row}"
    told += f" in {file}" if file else ""
    where = f"{place}, {told}" + (f", {error.where}" if error.where else "")
    return DataError(what, where=where, remedy=error.remedy or expected)


def _parted(error: MessageError) -> tuple[str, str]:
    """What a row is called, if the error is of one, and what is wrong, without that row's number."""
    if error.row is None:
        return "", error.what
    noun, _, what = error.what.split(" ", 2)
    return noun, what


class Refusals:
    """The rows of a data set that were refused, in order: `rows`.

    Data of which most cannot be read is no data with bad rows, but of another kind: that is an error all the same.
    """

    def __init__(self) -> None:
        self.rows: list[RefusedRow] = []
        self._read = 0
        self._first: DataError | None = None
        self._before = np.empty(0, dtype=np.int64)

    def read(self, rows: int) -> None:
        """Counts rows that could be read."""
        self._read += rows

    def sift(
        self,
        piece: Any,
        coerce: Callable[[Any], NDArray[np.floating]],
        indices: Indices,
        error: DataError,
        file_of: Callable[[int], str],
    ) -> list[NDArray[np.floating]]:
        """What of a piece can be read, in order.

        Args:
            piece: some rows that cannot be read together; of a type that can be cut.
            coerce: reads some.
            indices: of its rows.
            error: of the whole piece.
            file_of: says in which file a row is, by its index.
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
        """Leaves a row out.

        Args:
            row: that cannot be read.
            error: to end with if most rows are such, and this is the first.
        """
        self._first = self._first or error
        insort(self.rows, row, key=attrgetter("index"))

    def require_most(self, index: int) -> None:
        """Refuses data of which most could not be read so far, a few rows aside.

        Args:
            index: of the last row that was looked at; lines that are no rows may be known farther on.

        Raises:
            DataError: see above.
        """
        refused = bisect_right(self.rows, index, key=attrgetter("index"))
        if self._first and is_most(refused, self._read):
            raise self._first

    def conclude(self) -> None:
        """Refuses data of which most could not be read, or nothing.

        Raises:
            DataError: see above.
        """
        if self._first and (not self._read or is_most(len(self.rows), self._read)):
            raise self._first

    def index_of(self, place: NDArray[Any]) -> NDArray[np.int64]:
        r"""The indices in the data of rows, told by their places among those that can be read.

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
