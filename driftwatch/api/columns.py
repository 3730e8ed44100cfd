"""Conversion of columns of Python, NumPy and pandas to Arrow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pyarrow as pa

from driftwatch.data.arrow_columns import is_cell, is_number
from driftwatch.data.cells import category_text, is_missing, number
from driftwatch.errors import MessageError

_CELLS = (str, bytes, bool, np.bool_, Real, Decimal)
_TEXTS = (str, bytes)


def arrow_table(columns: Sequence[tuple[str, Any]], names: Collection[str] | None, unread: Collection[str]) -> pa.Table:
    """Make a table of columns. Columns that are not read keep only their names; their values are not even converted.

    Args:
        columns: each with its name.
        names: of the columns to read; all if None.
        unread: names of columns that are not read.

    Raises:
        MessageError: a column holds something that is not a table cell.
        pa.ArrowException: columns differ in length.
    """
    read = {
        place: arrow_column(values, f"column {name}")
        for place, (name, values) in enumerate(columns)
        if name not in unread and (names is None or name in names)
    }
    empty = pa.nulls(len(next(iter(read.values()), ())))
    arrays = [read.get(place, empty) for place in range(len(columns))]
    return pa.Table.from_arrays(arrays, names=[name for name, _ in columns])


def arrow_column(values: Any, where: str) -> pa.Array | pa.ChunkedArray:
    """Convert a column to Arrow, with null for None, NaN and ``pandas.NA``.

    Arrow has no type for values of mixed types. Numbers of several types become floats; if some values are text, all
    become text, since both categories and numbers can be read from text. So do categories that are neither numbers nor
    text, such as intervals.

    >>> arrow_column([True, 2, 0.5], "").to_pylist(), arrow_column([31, None, "Ulm"], "").to_pylist()
    ([1.0, 2.0, 0.5], ['31', None, 'Ulm'])

    Args:
        values: of the column.
        where: for error messages.

    Raises:
        MessageError: the column holds something that is not a table cell.
    """
    try:
        found = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        cells = list(values)
    else:
        named = pa.types.is_dictionary(found.type) and not is_cell(found.type.value_type)
        return _texts(values) if named else found
    for row, cell in enumerate(cells):
        if not isinstance(cell, _CELLS) and not is_missing(cell):
            raise MessageError(
                f"row {row} holds {type(cell).__name__}",
                reason="schema",
                where=where,
                remedy="expected numbers, booleans or texts",
            )
    if not any(isinstance(cell, _TEXTS) for cell in cells):
        return pa.array([number(cell) for cell in cells], pa.float64(), from_pandas=True)
    return _texts(cells)


def _texts(cells: Iterable[Any]) -> pa.Array:
    return pa.array([None if is_missing(cell) else category_text(cell) for cell in cells], pa.string())


def with_category_names(table: pa.Table) -> pa.Table:
    """Convert dictionary columns of numbers to text: making numbers categorical means that they are names, not sizes.

    >>> ratings = pa.table({"rating": pa.array([5, 1, None, 5]).dictionary_encode()})
    >>> with_category_names(ratings)["rating"].to_pylist()
    ['5', '1', None, '5']
    """
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type) and is_number(field.type.value_type):
            table = table.set_column(
                place, field.name, table.column(place).cast(field.type.value_type).cast(pa.string())
            )
    return table
