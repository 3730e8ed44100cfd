"""Event times of a table's rows, from a column that the reference need not know."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from driftwatch.data.arrow_columns import is_number, is_text
from driftwatch.data.readers import open_dataset
from driftwatch.data.refused_rows import Refusals
from driftwatch.errors import DataError
from driftwatch.locations import Location

READ_ROWS = 65_536
EXPECTED = "expected dates, times, ISO 8601 texts, or seconds, milli-, micro- or nanoseconds since 1970"

EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999, which RFC 3339 can express."""

MILLISECONDS, MICROSECONDS, NANOSECONDS = 1e11, 1e14, 1e17
"""Numbers of at least this size are in this unit, smaller ones in the one before, first seconds; in that one, it would
be the year 5138."""

_CELLS = ("us", "ns")
_ZONED = r"(Z|[+-]\d{2}:?\d{2})$"


class EventTimes:
    """The event times of a table's rows, in milliseconds since the epoch; times without a zone are taken as UTC.

    Args:
        path: of the table.
        column: with the times.

    Raises:
        DataError: there is no such column.
    """

    def __init__(self, path: Location, column: str) -> None:
        self._place = f"{path}, column {column}"
        try:
            self._dataset = open_dataset(path, columns=[column])
        except DataError as error:
            if "no columns to choose" not in error.what:
                raise
            raise DataError("is not a table, so it has no times", where=str(path), remedy="name no column") from None
        self._blocks = self._read()
        self._held: NDArray[np.int64] = np.empty(0, np.int64)
        self._first = 0
        self._newest: int | None = None
        self.late = 0
        """Number of rows so far that are older than an earlier row."""
        self.latest_ms = 0
        """Largest delay of such a row, milliseconds."""
        self.first_late = 0
        """Index of the first such row."""

    def of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The times of some rows, by their indices, which must be ascending and not before those of earlier calls.

        Raises:
            DataError: a row has no time.
        """
        first, last = int(rows[0]), int(rows[-1])
        while last >= self._first + len(self._held):
            block = next(self._blocks)
            passed = min(max(first - self._first, 0), len(self._held))
            self._held = np.concatenate([self._held[passed:], block])
            self._first += passed
        return self._held[rows - self._first]

    def _read(self) -> Iterator[NDArray[np.int64]]:
        end = 0
        # Invalid lines are reported where rows are read; here they only leave a gap.
        for indices, table in self._dataset.pieces(None, READ_ROWS, 0, Refusals()):
            if not len(indices):
                continue
            rows = np.asarray(indices)
            times = self._milliseconds(table.column(0).combine_chunks(), rows)
            before = int(times[0]) if self._newest is None else self._newest
            newest = np.maximum.accumulate(np.maximum(times, before))
            behind = newest - times
            if not self.late and behind.any():
                self.first_late = int(rows[np.flatnonzero(behind)[0]])
            self.late += int(np.count_nonzero(behind))
            self.latest_ms = max(self.latest_ms, int(behind.max()))
            self._newest = int(newest[-1])
            block = np.zeros(rows[-1] + 1 - end, np.int64)
            block[rows - end] = times
            end += len(block)
            yield block

    def _milliseconds(self, cells: pa.Array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if pa.types.is_dictionary(cells.type):
            cells = cells.dictionary_decode()
        numbers = pa.types.is_decimal(cells.type) or is_number(cells.type)
        if numbers:
            cells = cells.cast(pa.float64(), safe=False)
        missing = cells.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
        if missing.any():
            raise DataError(
                f"row {rows[np.flatnonzero(missing)[0]]} has no time",
                where=self._place,
                remedy="leave such rows out, or name another column",
            )
        found = _of_numbers(cells.to_numpy(zero_copy_only=False)) if numbers else self._of_moments(cells)
        beyond = np.flatnonzero((found < EARLIEST_MS) | (found > LATEST_MS))
        if len(beyond):
            held = f"row {rows[beyond[0]]} holds {cells[int(beyond[0])]}, which is no time of the years 1 to 9999"
            raise DataError(held, where=self._place, remedy=EXPECTED)
        return np.asarray(found, np.int64)

    def _of_moments(self, cells: pa.Array) -> NDArray[np.int64]:
        for unit in _CELLS:
            try:
                found = self._moments(cells, unit).cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
            except pa.ArrowException as error:
                fault = error
            else:
                return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)
        raise DataError(f"contains a value that is not a time: {fault}", where=self._place, remedy=EXPECTED)

    @staticmethod
    def _moments(cells: pa.Array, unit: str) -> pa.Array:
        """Cells as timestamps in UTC."""
        if is_text(cells.type):
            cells = pc.cast(cells, pa.string())
            zone = "UTC" if len(cells) and pc.match_substring_regex(cells.slice(0, 1), _ZONED)[0].as_py() else None
            cells = pc.cast(cells, pa.timestamp(unit, zone))
        elif not pa.types.is_timestamp(cells.type):
            cells = pc.cast(cells, pa.timestamp(unit))
        return cells.cast(pa.timestamp(cells.type.unit))


def _of_numbers(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Milliseconds from numbers of any unit."""
    size = np.abs(numbers)
    per_ms = np.select([size < MILLISECONDS, size < MICROSECONDS, size < NANOSECONDS], [1e-3, 1.0, 1e3], 1e6)
    return np.asarray((numbers / per_ms).round())
