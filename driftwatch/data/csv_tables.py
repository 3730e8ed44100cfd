"""CSV files as tables with one type per column from the first row to the last, in bounded memory."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from driftwatch.data.arrow_columns import is_number, is_text
from driftwatch.data.cells import MISSING_TEXT
from driftwatch.data.csv_lines import Lines, Row, below_first_row, rows_of, whole_lines
from driftwatch.data.refused_rows import Indices, is_most
from driftwatch.errors import DataError

NULL_VALUES = sorted({f"{before}{text}{after}" for text in MISSING_TEXT for before in ("", " ") for after in ("", " ")})
"""Also with blanks around them: Arrow strips blanks around numbers, but not around these."""

OTHER_KINDS = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x1f\x8b": "gzip (.csv.gz)",
    b"BZh": "bzip2 (.csv.bz2)",
    b"\x28\xb5\x2f\xfd": "zstd (.csv.zst)",
    b"PK\x03\x04": "zip or Excel",
    b"PAR1": "Parquet (.parquet)",
}
"""Other kinds of files, by their first bytes."""

SHOWN = 60
"""Characters of a line that messages show."""

REMEDY = "the first line names the columns, and every row has as many values"


@dataclass(frozen=True)
class BadLine:
    """A line that is not a row.

    Args:
        number: of the line in its file, from 1.
        what: the problem.
    """

    number: int
    what: str


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a file.

    Args:
        table: the valid rows; without columns if there are none.
        places: positions of the valid rows within the block, ascending.
        bad: the invalid lines, by position within the block.
    """

    table: pa.Table
    places: Indices
    bad: Mapping[int, BadLine] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of rows, including invalid lines."""
        return len(self.places) + len(self.bad)


@dataclass(frozen=True)
class Found:
    """The contents of a file.

    Args:
        schema: the narrowest type that holds all values of each column.
        rows: number of rows, including invalid lines.
        bad: the first invalid line.
        bad_lines: number of invalid lines.
    """

    schema: pa.Schema
    rows: int
    bad: BadLine | None = None
    bad_lines: int = 0

    def require_rows(self, where: str) -> None:
        """Refuse a file with invalid lines.

        Raises:
            DataError: it has some.
        """
        if self.bad is not None:
            more = f"; {self.bad_lines:,} of {self.rows:,} rows are like this" if self.bad_lines > 1 else ""
            raise DataError(self.bad.what + more, where=f"{where}, line {self.bad.number}", remedy=REMEDY)


def find_types(file: BinaryIO, where: str) -> Found:
    """Find the columns of a file and their types, and count its rows.

    Arrow itself infers types from the first block, and fails if a later one holds other types.

    Raises:
        DataError: the file is empty, a line is too long, most lines are invalid, or the separator is not a comma.
        pa.ArrowException: it is not a CSV file.
    """
    names, lines = _opened(file, where)
    types: dict[str, pa.DataType] = {}
    rows = bad_lines = 0
    bad: BadLine | None = None
    for block in _blocks(lines, names, _conversion()):
        rows, bad_lines = rows + len(block.places), bad_lines + len(block.bad)
        bad = bad or next(iter(block.bad.values()), None)
        for each in block.table.schema:
            types[each.name] = _wider(types.get(each.name, each.type), each.type)
        if bad is not None and is_most(bad_lines, rows):
            what = f"{bad.what}; {bad_lines:,} of the first {rows + bad_lines:,} rows are like this"
            raise DataError(what, where=f"{where}, line {bad.number}", remedy=REMEDY)
    schema = pa.schema([(name, types.get(name, pa.null())) for name in names])
    found = Found(schema, rows + bad_lines, bad, bad_lines)
    if not rows:
        found.require_rows(where)
    return found


def text_columns(schemas: Iterable[pa.Schema]) -> Collection[str]:
    """The columns with text that is not a number in some file, which count as text in all files of a table.

    >>> january = pa.schema({"ward": pa.int64(), "age": pa.int64()})
    >>> february = pa.schema({"ward": pa.string(), "age": pa.float64()})
    >>> text_columns([january, february])
    {'ward'}
    """
    types: dict[str, pa.DataType] = {}
    for schema in schemas:
        for each in schema:
            types[each.name] = _wider(types.get(each.name, each.type), each.type)
    return {name for name, kind in types.items() if is_text(kind)}


def read_blocks(file: BinaryIO, where: str, schema: pa.Schema, columns: Sequence[str]) -> Iterator[Block]:
    """The rows of a file in order, block by block.

    Args:
        file: to read.
        where: it is, for error messages.
        schema: its columns with their types.
        columns: to read; all if empty.

    Raises:
        pa.ArrowException: it is not as it was when its types were found.
    """
    names, lines = _opened(file, where)
    return _blocks(lines, names, _conversion(schema, columns))


def _opened(file: BinaryIO, where: str) -> tuple[Sequence[str], Iterator[Lines]]:
    """The names of the columns, and the lines below the header."""
    blocks = whole_lines(file, where)
    for lines in blocks:
        if not lines.text.strip(b"\r\n"):
            continue
        _require_text(lines.text, where)
        _require_commas(lines.text, where)
        header, below = below_first_row(lines)
        if header.values == 0:
            bad = _bad_line(header, 0)
            raise DataError(bad.what, where=f"{where}, line {bad.number}", remedy="it must name the columns")
        # Arrow finds nothing in a first line without a line end.
        return _read(header.text + b"\n", None, _conversion()).column_names, chain([below], blocks)
    raise DataError("is empty", where=where, remedy="the first line names the columns")


def _blocks(blocks: Iterator[Lines], names: Sequence[str], conversion: pa_csv.ConvertOptions) -> Iterator[Block]:
    for lines in blocks:
        if not lines.text.strip(b"\r\n"):
            continue
        table = None
        if not lines.torn:
            with suppress(pa.ArrowInvalid):
                table = _read(lines.text, names, conversion)
        yield Block(table, range(table.num_rows)) if table is not None else _sifted(lines, names, conversion)


def _sifted(lines: Lines, names: Sequence[str], conversion: pa_csv.ConvertOptions) -> Block:
    """A block of lines of which some are torn, or have the wrong number of values."""
    rows = list(rows_of(lines))
    fits = np.array([row.values == len(names) for row in rows])
    good = b"".join(row.text for row in rows if row.values == len(names))
    bad = {place: _bad_line(row, len(names)) for place, row in enumerate(rows) if row.values != len(names)}
    return Block(_read(good, names, conversion) if good else pa.table({}), np.flatnonzero(fits), bad)


def _bad_line(row: Row, expected: int) -> BadLine:
    values = f"{row.values} value{'' if row.values == 1 else 's'}"
    what = f"has {values}, not {expected}" if row.values else "has a quote that is not closed"
    return BadLine(row.number, f"{what}: {_shown(row.text)}")


def _read(text: bytes, names: Sequence[str] | None, conversion: pa_csv.ConvertOptions) -> pa.Table:
    options = pa_csv.ReadOptions(column_names=names, block_size=len(text), use_threads=False)
    return pa_csv.read_csv(io.BytesIO(text), options, convert_options=conversion)


def _conversion(schema: pa.Schema | None = None, columns: Sequence[str] = ()) -> pa_csv.ConvertOptions:
    # Text is kept as it is: its readers know which values are missing, in CSV and elsewhere.
    return pa_csv.ConvertOptions(column_types=schema, include_columns=columns, null_values=NULL_VALUES)


def _require_text(lines: bytes, where: str) -> None:
    """Refuse a file of another kind than its name says."""
    kind = next((kind for start, kind in OTHER_KINDS.items() if lines.startswith(start)), "")
    kind = kind or ("UTF-16" if b"\0" in lines.splitlines()[0] else "")
    if kind:
        mend = "name it accordingly" if "(" in kind else "save it as CSV in UTF-8"
        raise DataError(f"is {kind}, whatever its name says", where=where, remedy=mend)


def _require_commas(lines: bytes, where: str) -> None:
    """Refuse lines with another separator: they would be a single column, or have varying numbers of values."""
    header, *rows = lines.lstrip(b"\r\n").splitlines()[:2]
    commas = header.count(b",")
    if not rows or 0 < commas == rows[0].count(b","):
        return
    for sign in (b";", b"\t", b"|"):
        if commas < header.count(sign) <= rows[0].count(sign):
            raise DataError(
                f"has {'one column' if commas == 0 else f'{commas + 1} columns'}, {_shown(header)}",
                where=where,
                remedy=f"is the separator {sign.decode()!r}? Save it with commas, and points in its numbers",
            )


def _shown(line: bytes) -> str:
    text = line.rstrip(b"\r\n").decode(errors="replace")
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if is_number(one) and is_number(other):
        return pa.float64()
    return pa.binary() if pa.types.is_binary(one) or pa.types.is_binary(other) else pa.string()
