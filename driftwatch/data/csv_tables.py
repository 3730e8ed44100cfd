"""CSV files as tables whose columns have one type from the first row to the last, in bounded memory."""

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
"""With blanks around them too: Arrow leaves those out around numbers, but not around these."""

OTHER_KINDS = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x1f\x8b": "gzip (.csv.gz)",
    b"BZh": "bzip2 (.csv.bz2)",
    b"\x28\xb5\x2f\xfd": "zstd (.csv.zst)",
    b"PK\x03\x04": "zip or Excel",
    b"PAR1": "Parquet (.parquet)",
}
"""What begins with such bytes."""

SHOWN = 60
"""Characters of a line."""

REMEDY = "the first line names the columns, and every row has as many values"


@dataclass(frozen=True)
class BadLine:
    """A line that is no row.

    Args:
        number: of it in the file, from 1.
        what: is wrong with it.
    """

    number: int
    what: str


@dataclass(frozen=True)
class Block:
    """Some rows of a file.

    Args:
        table: of those that are rows; without columns if none is.
        places: of these among all of the block's, ascending.
        bad: the lines that are none, by their places among all.
    """

    table: pa.Table
    places: Indices
    bad: Mapping[int, BadLine] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many there are, lines that are none among them."""
        return len(self.places) + len(self.bad)


@dataclass(frozen=True)
class Found:
    """What is in a file.

    Args:
        schema: the narrowest type that holds all values of each column.
        rows: how many there are, lines that are none among them.
        bad: the first of these lines.
        bad_lines: how many there are.
    """

    schema: pa.Schema
    rows: int
    bad: BadLine | None = None
    bad_lines: int = 0

    def require_rows(self, where: str) -> None:
        """Refuses a file with bad lines.

        Raises:
            DataError: it has some.
        """
        if self.bad is not None:
            more = f"; {self.bad_lines:,} of {self.rows:,} rows are such" if self.bad_lines > 1 else ""
            raise DataError(self.bad.what + more, where=f"{where}, line {self.bad.number}", remedy=REMEDY)


def find_types(file: BinaryIO, where: str) -> Found:
    """What columns a file has, and how many rows.

    Arrow itself takes the types from the first block, and fails where a later one holds others.

    Raises:
        DataError: it is empty, or a line too long, or most are no rows, or something else parts its columns.
        pa.ArrowException: it is no CSV file.
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
            told = f"{bad.what}; {bad_lines:,} of the first {rows + bad_lines:,} rows are such"
            raise DataError(told, where=f"{where}, line {bad.number}", remedy=REMEDY)
    schema = pa.schema([(name, types.get(name, pa.null())) for name in names])
    found = Found(schema, rows + bad_lines, bad, bad_lines)
    if not rows:
        found.require_rows(where)
    return found


def text_columns(schemas: Iterable[pa.Schema]) -> Collection[str]:
    """The columns of which some file has texts that are no numbers: they are texts in all files of a table.

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
    """The rows of a file in order, a block at a time.

    Args:
        file: to be read.
        where: it is.
        schema: its columns with their types.
        columns: to read; none stands for all.

    Raises:
        pa.ArrowException: it is not as it was when its types were found.
    """
    names, lines = _opened(file, where)
    return _blocks(lines, names, _conversion(schema, columns))


def _opened(file: BinaryIO, where: str) -> tuple[Sequence[str], Iterator[Lines]]:
    """The names of the columns, and the lines below them."""
    blocks = whole_lines(file, where)
    for lines in blocks:
        if not lines.text.strip(b"\r\n"):
            continue
        _require_text(lines.text, where)
        _require_commas(lines.text, where)
        header, below = below_first_row(lines)
        if header.values == 0:
            told = _bad_line(header, 0)
            raise DataError(told.what, where=f"{where}, line {told.number}", remedy="it is to name the columns")
        # Arrow finds nothing in a first line without an end.
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
    """Lines of which some are torn, or have too few values, or too many."""
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
    # Texts stay as they are: what reads them knows which are missing, in CSV as elsewhere.
    return pa_csv.ConvertOptions(column_types=schema, include_columns=columns, null_values=NULL_VALUES)


def _require_text(lines: bytes, where: str) -> None:
    """Refuses what is another kind of file, whatever its name says."""
    kind = next((kind for start, kind in OTHER_KINDS.items() if lines.startswith(start)), "")
    kind = kind or ("UTF-16" if b"\0" in lines.splitlines()[0] else "")
    if kind:
        mend = "name it so" if "(" in kind else "save it as CSV in UTF-8"
        raise DataError(f"is {kind}, whatever its name says", where=where, remedy=mend)


def _require_commas(lines: bytes, where: str) -> None:
    """Refuses lines whose values are parted by another sign: they would be one column, or of several lengths."""
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
