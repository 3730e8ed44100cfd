"""One CSV or Parquet file of a table, and the columns given by the names of its folders."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from driftwatch.data.arrow_columns import is_bytes
from driftwatch.data.csv_tables import REMEDY, BadLine, Block, Found, find_types, read_blocks
from driftwatch.data.tables import near_name
from driftwatch.errors import DataError
from driftwatch.locations import Location, path_below

COMPRESSED = {".csv.gz": "gzip", ".csv.bz2": "bz2", ".csv.zst": "zstd"}
"""Arrow's names for the compression of files, by suffix."""

TABLE_SUFFIXES = (".parquet", ".csv", *COMPRESSED)
KEYS = "data.exclude, or data.columns without it"
"""Keys of a training configuration that select columns, for error messages."""

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""A missing value in a folder's name, as written by Hive, Spark and Arrow."""

_OWN = re.compile(r"(^|/)[._]")
_KEY = re.compile(r"([^/=]+)=([^/]*)/")


class Part:
    """One file of a table.

    Args:
        place: of the file.
        held: the file's contents.
    """

    def __init__(self, place: Location, held: Found) -> None:
        self.place = place
        self.suffix = table_suffix(place)
        self.schema = held.schema
        self.rows = held.rows
        self.keys = {key: unquote(value) for key, value in _KEY.findall(str(place)) if key not in held.schema.names}
        self._held = held

    def require(self, columns: Sequence[str]) -> None:
        """Check that the file has some columns.

        Raises:
            DataError: one is missing, or occurs several times.
        """
        known = [*self.schema.names, *self.keys]
        twice = [name for name in columns if known.count(name) > 1]
        if twice:
            raise DataError(
                f"has column {twice[0]!r} {known.count(twice[0])} times",
                where=str(self.place),
                remedy=f"rename it, or leave it out ({KEYS})",
            )
        missing = [name for name in columns if name not in known]
        if missing:
            raise has_no_column(missing[0], known, str(self.place))

    def require_rows(self) -> None:
        """Refuse a file with invalid lines.

        Raises:
            DataError: it has some.
        """
        self._held.require_rows(str(self.place))

    def bad_line(self, line: BadLine) -> DataError:
        """The error for an invalid line."""
        return DataError(line.what, where=f"{self.place}, line {line.number}", remedy=REMEDY)

    def blocks(self, rows: int, columns: Sequence[str] | None, texts: Collection[str]) -> Iterator[Block]:
        """The rows in blocks, for Parquet of at most `rows`: the columns in `columns`, or all and the folders' keys.

        In CSV files, the columns in `texts` are read as they are written. Their inferred type would depend on what else
        the file contains: ``007`` is a number, unless there is a ``B12``.

        Raises:
            DataError: it cannot be read.
        """
        stored = [name for name in columns if name in self.schema.names] if columns is not None else None
        count = 0
        for block in self._stored(rows, stored, texts):
            table = block.table
            for key, value in self.keys.items():
                if columns is None or key in columns:
                    known = pa.scalar(None if value == NO_VALUE else value, pa.string())
                    table = table.append_column(key, pa.repeat(known, table.num_rows))
            count += block.rows
            yield replace(block, table=table)
        if count != self.rows:
            what = f"holds {count:,} rows instead of {self.rows:,}"
            remedy = "is the file complete, or did it change meanwhile?"
            raise DataError(what, where=str(self.place), remedy=remedy)

    def _stored(self, rows: int, columns: Sequence[str] | None, texts: Collection[str]) -> Iterator[Block]:
        try:
            with _opened(self.place) as source:
                if self.suffix == ".parquet":
                    # With pre-buffering, Arrow would keep what was already read: in the end, the whole file.
                    file = pa_parquet.ParquetFile(source, pre_buffer=False)
                    for batch in file.iter_batches(batch_size=rows, columns=columns):
                        yield Block(pa.Table.from_batches([batch]), range(batch.num_rows))
                else:
                    yield from read_blocks(source, str(self.place), self._as_texts(texts), columns or ())
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.place, error) from None

    def _as_texts(self, names: Collection[str]) -> pa.Schema:
        """The schema with some columns as text; those with invalid UTF-8 stay bytes, to be refused row by row."""
        as_text = {each.name for each in self.schema if each.name in names and not is_bytes(each.type)}
        return pa.schema([each.with_type(pa.string()) if each.name in as_text else each for each in self.schema])


def table_suffix(place: Location) -> str:
    """Which of `TABLE_SUFFIXES` a file's name has, in upper or lower case; empty for other files."""
    return next((suffix for suffix in TABLE_SUFFIXES if place.name.lower().endswith(suffix)), "")


def parts_of_table(path: Location, files: Sequence[Location]) -> Sequence[Location]:
    """The tables among the files below a path; names that start with ``_`` or ``.`` belong to other programs."""
    tables = [file for file in files if table_suffix(file)]
    return tables if "*" in str(path) else [file for file in tables if not _OWN.search(path_below(path, file))]


def has_no_column(name: str, known: Sequence[str], where: str) -> DataError:
    near = near_name(name, known)
    meant = f"is it {near!r}? " if near else ""
    return DataError(f"has no column {name!r}", where=where, remedy=f"{meant}it has {', '.join(known[:20])}")


def open_part(place: Location) -> Part:
    """Open one file of a table.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with _opened(place) as source:
            if table_suffix(place) != ".parquet":
                return Part(place, find_types(source, str(place)))
            file = pa_parquet.ParquetFile(source)
            return Part(place, Found(file.schema_arrow, file.metadata.num_rows))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(place, error) from None


def _unreadable(place: Location, error: Exception) -> DataError:
    remedy, suffix = REMEDY, table_suffix(place)
    if suffix != ".csv":
        remedy = "is the file complete?"
    elif isinstance(error, OSError):
        remedy = ""
    elif isinstance(error, UnicodeDecodeError):
        remedy = "save it as UTF-8"
    elif "conversion error" in str(error):
        remedy = "did the file change while it was read?"
    return DataError(f"cannot be read: {error}", where=str(place), remedy=remedy)


@contextmanager
def _opened(place: Location) -> Iterator[Any]:
    """The source for reading a file: for Arrow, the path of a local Parquet file, otherwise an open file."""
    suffix = table_suffix(place)
    if isinstance(place, Path) and suffix == ".parquet":
        yield place
        return
    with place.open("rb") as file:
        compressed = COMPRESSED.get(suffix)
        yield pa.CompressedInputStream(pa.PythonFile(file, "r"), compressed) if compressed else file
