"""Rows of a table as a model's traffic contains them: with all columns, even those that no reference can learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa

from driftwatch.data.arrow_columns import is_bytes
from driftwatch.data.cells import category_text, is_missing
from driftwatch.data.refused_rows import data_error
from driftwatch.data.schema import Column, Samples, TableSchema, table_of
from driftwatch.data.table_files import TableDataset
from driftwatch.data.table_parts import table_suffix
from driftwatch.errors import DataError, MessageError


def rows_to_send(dataset: TableDataset, rows: int, start: int) -> Iterator[tuple[Samples, TableSchema]]:
    """The rows of a table in order, encoded, each chunk with the schema that encodes it.

    Dates, keys and free text are text columns. Categories are those of the chunk's rows only, so that a column may have
    any number of them. Columns without single values (of lists, for example) are left out: no reference has them.

    Args:
        dataset: the table.
        rows: per chunk; the last one may have fewer.
        start: the first row.

    Raises:
        DataError: a column is numeric in one part of the table and text in another, or is missing in one; or its name
            occurs twice.
    """
    first: list[tuple[str, str]] = []
    for piece in _in_pieces(dataset, rows, start):
        table, schema = _single_values(piece, dataset)
        kinds: list[tuple[str, str]] = [(column.name, column.kind) for column in schema.columns]
        first = first or kinds
        if kinds != first:
            name, _ = next(kind for kind in (*first, *kinds) if kind not in first or kind not in kinds)
            raise _differing(dataset, name)
        try:
            yield schema.coerce(table), schema
        except MessageError as error:
            raise data_error(error, str(dataset.path), start + (error.row or 0), f"a {schema.describe()}") from None
        start += table.num_rows


def _in_pieces(dataset: TableDataset, rows: int, start: int) -> Iterator[pa.Table]:
    """Pieces of exactly `rows` rows, except for the last one, however the files are divided into blocks."""
    held: pa.Table | None = None
    for _, piece in dataset.pieces(None, rows, start, None):
        if twice := [name for name, count in Counter(piece.column_names).items() if count > 1]:
            raise DataError("occurs several times", where=f"{dataset.path}: column {twice[0]}", remedy="rename it")
        if held is None:
            held = piece
        else:
            missing = [name for name in held.column_names if name not in piece.column_names]
            if missing:
                raise DataError(
                    "is in the first part of the table, and missing from another",
                    where=f"{dataset.path}: column {missing[0]}",
                    remedy="the parts of a table have the same columns",
                )
            pieces = [held, piece.select(held.column_names)]
            try:
                held = pa.concat_tables(pieces, promote_options="permissive")
            except pa.ArrowException:
                name = next(n for n in held.column_names if held.schema.field(n).type != piece.schema.field(n).type)
                raise _differing(dataset, name) from None
        while held.num_rows >= rows:
            yield held.slice(0, rows)
            held = held.slice(rows)
    if held is not None and held.num_rows:
        yield held


def _single_values(table: pa.Table, dataset: TableDataset) -> tuple[pa.Table, TableSchema]:
    columns: dict[str, pa.ChunkedArray] = {}
    learned: list[Column] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if _is_number(column.type):
            columns[name] = column
            learned.append(Column(name=name, kind="numeric"))
        elif (texts := _texts(column)) is not None:
            columns[name] = texts
            values = {category_text(value) for value in texts.unique().to_pylist() if not is_missing(value)}
            learned.append(Column(name=name, kind="category", categories=tuple(sorted(values))))
        elif is_bytes(column.type) and table_suffix(dataset.files()[0]) != ".parquet":
            # In Parquet files, bytes may be pictures.
            raise DataError("is no text in UTF-8", where=f"{dataset.path}: column {name}", remedy="save it as UTF-8")
    if not learned:
        raise DataError("has no column of numbers or texts", where=str(dataset.path))
    return pa.table(columns), table_of(learned, str(dataset.path))


def _is_number(kind: pa.DataType) -> bool:
    of_numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(holds(kind) for holds in of_numbers)


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """A column as text, or as truth values; None if it is neither."""
    if pa.types.is_boolean(column.type):
        return column
    try:
        return column.cast(pa.string())
    except pa.ArrowException:
        return None


def _differing(dataset: TableDataset, name: str) -> DataError:
    return DataError(
        "is not of the same type in all parts",
        where=f"{dataset.path}: column {name}",
        remedy="the parts of a table have columns of the same types",
    )
