"""Tables written row by row: CSV, Parquet or JSON lines by file suffix, or aligned text on a terminal."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from driftwatch.errors import DataError, UsageError
from driftwatch.locations import Location, RemotePath

if TYPE_CHECKING:
    import pyarrow as pa

    from driftwatch.data.readers import Dataset

Columns = Mapping[str, NDArray[np.generic]]

SUFFIXES = (".csv", ".parquet", ".jsonl")
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class TableWriter(Protocol):
    """Writes a table in pieces, all with the same columns."""

    def write(self, columns: Columns) -> None:
        """Append rows."""

    def close(self) -> None:
        """Finish the table."""


class FileTable:
    """A table in a file, which appears under its name only when it is complete.

    A table without rows leaves no file, not even that of an earlier run, which would be taken for this one's.

    Args:
        path: or URL; ends in ``.csv``, ``.parquet`` or ``.jsonl``.

    Raises:
        UsageError: the suffix is none of these.
    """

    def __init__(self, path: Location) -> None:
        check_suffix(path)
        self.path = path
        self.rows = 0
        self._partial: Path | None = None
        self._writer: TableWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._partial is None:
            if error is None:
                with self._as_data_error():
                    _remove(self.path)
            return
        try:
            with self._as_data_error():
                if self._writer is not None:
                    self._writer.close()
                if error is None:
                    self._publish(self._partial)
        finally:
            self._partial.unlink(missing_ok=True)

    def _publish(self, partial: Path) -> None:
        if isinstance(self.path, Path):
            partial.replace(self.path)
        else:
            self.path.upload(partial)

    def write(self, columns: Columns) -> None:
        """Append rows.

        Raises:
            DataError: they cannot be written.
        """
        with self._as_data_error():
            if self._writer is None:
                self._partial = _partial_of(self.path)
                self._partial.parent.mkdir(parents=True, exist_ok=True)
                self._writer = _WRITERS[self.path.suffix](self._partial, columns)
            self._writer.write(columns)
        self.rows += len(next(iter(columns.values())))

    @contextmanager
    def _as_data_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # PyArrow's own message mentions bytes and files, but not which file.
            why = os.strerror(error.errno) if error.errno else str(error)
            remedy = "free some space there" if error.errno in FULL else "check its folder"
            raise DataError(
                f"cannot be written: {why}", where=str(self.path), remedy=f"{remedy}, or choose another --out"
            ) from None


def _partial_of(path: Location) -> Path:
    """The file to write until the table is complete: next to its place, or in the temporary folder for a URL."""
    if isinstance(path, Path):
        return path.with_name(f".{path.name}.partial")
    handle, name = tempfile.mkstemp(prefix="driftwatch-", suffix=path.suffix)
    os.close(handle)
    return Path(name)


def _remove(path: Location) -> None:
    if isinstance(path, Path):
        path.unlink(missing_ok=True)
    else:
        with suppress(OSError):  # who may write there need not have the right to remove
            path.remove()


def spare_data(dataset: Dataset, tables: Iterable[Location]) -> None:
    """Refuse tables in place of the data that they are made from.

    Raises:
        UsageError: one would replace a file of the data.
    """
    for table in tables:
        for file in dataset.files():
            same = file == table
            if isinstance(file, Path) and isinstance(table, Path) and file.suffix == table.suffix and table.exists():
                same = file.samefile(table)
            if same:
                raise UsageError("is the data itself", where=str(table), remedy="choose another --out")


def check_place(path: Location) -> None:
    """Refuse a place where no table can be written, before computing one.

    Raises:
        UsageError: the suffix is of no known format, or the bucket cannot be reached.
    """
    check_suffix(path)
    if isinstance(path, RemotePath):
        try:
            path.require_bucket()
        except OSError as error:
            raise UsageError(f"cannot be written: {error}", where=str(path), remedy="check the URL") from None


def check_suffix(path: Location) -> None:
    """Refuse a file whose suffix is of no known format.

    Raises:
        UsageError: the suffix is of no known format.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(f"unknown suffix {path.suffix!r}", where=str(path), remedy=f"one of {', '.join(SUFFIXES)}")


class JsonLines:
    """JSON lines on an open binary file."""

    def __init__(self, write: Callable[[bytes], Any], close: Callable[[], None] = lambda: None) -> None:
        self._write, self._close = write, close

    def write(self, columns: Columns) -> None:
        """Append rows."""
        import orjson

        names = list(columns)
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        for row in rows:
            self._write(orjson.dumps(dict(zip(names, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Close the file."""
        self._close()


class TextTable:
    """Aligned columns of figures on stdout, row by row; seven columns fit into 80 characters."""

    WIDTH = 10

    def __init__(self) -> None:
        self._headed = False

    def write(self, columns: Columns) -> None:
        """Append rows."""
        widths = [max(self.WIDTH, len(name)) for name in columns]
        if not self._headed:
            self._line(name.rjust(width) for name, width in zip(columns, widths, strict=True))
            self._headed = True
        for row in zip(*(column.tolist() for column in columns.values()), strict=True):
            self._line(
                (str(cell) if isinstance(cell, int) else f"{cell:.4g}").rjust(width)
                for cell, width in zip(row, widths, strict=True)
            )

    def close(self) -> None:
        """Do nothing: all rows are already on the terminal."""

    @staticmethod
    def _line(cells: Any) -> None:
        sys.stdout.write(" ".join(cells) + "\n")


class _Arrow:
    def __init__(self, writer: Any, schema: pa.Schema) -> None:
        self._writer, self._schema = writer, schema

    def write(self, columns: Columns) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.table(dict(columns), schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _schema(columns: Columns) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.from_numpy_dtype(column.dtype)) for name, column in columns.items()])


def _csv(path: Path, columns: Columns) -> TableWriter:
    from pyarrow import csv

    schema = _schema(columns)
    return _Arrow(csv.CSVWriter(str(path), schema), schema)


def _parquet(path: Path, columns: Columns) -> TableWriter:
    from pyarrow import parquet

    schema = _schema(columns)
    return _Arrow(parquet.ParquetWriter(str(path), schema), schema)


def _json_lines(path: Path, columns: Columns) -> TableWriter:  # noqa: ARG001 - its siblings need the columns
    file = path.open("wb")
    return JsonLines(file.write, file.close)


_WRITERS: Mapping[str, Callable[[Path, Columns], TableWriter]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".jsonl": _json_lines,
}
