"""CSV files as tables whose columns have one type from the first row to the last, in bounded memory."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv

from driftwatch.data.arrow_columns import is_number
from driftwatch.data.tables import MISSING_TEXT
from driftwatch.errors import DataError

NULL_VALUES = sorted({f"{before}{text}{after}" for text in MISSING_TEXT for before in ("", " ") for after in ("", " ")})
"""With blanks around them too: Arrow leaves those out around numbers, but not around these."""

BLOCK_BYTES = 1 << 20
"""Read at a time. A line may not be longer: Arrow reads none that has no end in its block or the next."""

SHOWN = 60
"""Characters of a line."""


def find_types(file: BinaryIO, where: str) -> tuple[pa.Schema, int]:
    """The narrowest type that holds all values of each column, and the number of rows.

    Arrow itself takes the types from the first block, and fails where a later one holds others.

    Raises:
        DataError: it is empty, or a line too long, or something else parts its columns.
        pa.ArrowException: it is no CSV file.
    """
    types: dict[str, pa.DataType] = {}
    names: list[str] | None = None
    rows = 0
    for lines in _whole_lines(file, where):
        if names is None:
            _require_commas(lines, where)
        block = _block(lines, names, rows + 1 if names else 0)
        names = block.column_names
        rows += block.num_rows
        for field in block.schema:
            types[field.name] = _wider(types.get(field.name, field.type), field.type)
    if names is None:
        raise DataError("is empty", where=where, remedy="the first line names the columns")
    return pa.schema([(name, types[name]) for name in names]), rows


def read_batches(source: Any, schema: pa.Schema, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a file, a block at a time.

    Args:
        source: what Arrow reads it from, a path or an open file.
        schema: its columns with their types.
        columns: to read; none stands for all.

    Raises:
        pa.ArrowException: it is not as it was when its types were found.
    """
    options = pa_csv.ReadOptions(block_size=BLOCK_BYTES)
    with pa_csv.open_csv(source, options, convert_options=_conversion(schema, columns)) as reader:
        yield from reader


def _require_commas(lines: bytes, where: str) -> None:
    """Refuses lines whose values are parted by another sign: they would be one column, or of several lengths."""
    header, *rows = lines.splitlines()[:2]
    if b"," in header or not rows:
        return
    for sign in (b";", b"\t", b"|"):
        if 0 < header.count(sign) <= rows[0].count(sign):
            raise DataError(
                f"has one column, {_shortened(header.decode(errors='replace'))!r}",
                where=where,
                remedy=f"is the separator {sign.decode()!r}? Save it with commas, and points in its numbers",
            )


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _block(lines: bytes, names: list[str] | None, above: int) -> pa.Table:
    # Only without threads does Arrow tell the row of an error.
    options = pa_csv.ReadOptions(column_names=names, block_size=len(lines), use_threads=False)
    try:
        return pa_csv.read_csv(io.BytesIO(lines), options, convert_options=_conversion())
    except pa.ArrowInvalid as error:
        told = re.sub(r"Row #(\d+)", lambda row: f"Row #{above + int(row[1])}", str(error))
        raise pa.ArrowInvalid(told) from None


def _conversion(schema: pa.Schema | None = None, columns: Sequence[str] = ()) -> pa_csv.ConvertOptions:
    # Texts stay as they are: what reads them knows which are missing, in CSV as elsewhere.
    return pa_csv.ConvertOptions(column_types=schema, include_columns=columns, null_values=NULL_VALUES)


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if is_number(one) and is_number(other):
        return pa.float64()
    return pa.binary() if pa.types.is_binary(one) or pa.types.is_binary(other) else pa.string()


def _whole_lines(file: BinaryIO, where: str) -> Iterator[bytes]:
    rest = b""
    while block := file.read(BLOCK_BYTES):
        end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        if end:
            yield rest + block[:end]
            rest = block[end:]
        else:
            rest += block
        if len(rest) > BLOCK_BYTES:
            raise DataError(
                f"has a line of more than {BLOCK_BYTES >> 20} MiB", where=where, remedy="is it CSV, one row a line?"
            )
    if rest:
        yield rest
