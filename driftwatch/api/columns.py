"""Columns as Python, NumPy and pandas hold them, as Arrow's."""

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
    """Columns as a table. Of those that nobody reads the names alone count, and what they hold is not looked at.

    Args:
        columns: each with its name.
        names: of those that are read; all if None.
        unread: of those that are not.

    Raises:
        MessageError: a column holds what is no cell of a table.
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
    """A column as Arrow's, with null for None, NaN and ``pandas.NA``.

    Values of several types have no type of Arrow's. Numbers of several kinds become floats; where some are texts, all
    do, since by these categories are known and numbers are read. So do categories of other things, such as intervals.

    >>> arrow_column([True, 2, 0.5], "").to_pylist(), arrow_column([31, None, "Ulm"], "").to_pylist()
    ([1.0, 2.0, 0.5], ['31', None, 'Ulm'])

    Args:
        values: of the column.
        where: for messages.

    Raises:
        MessageError: it holds what is no cell of a table.
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
    """A table whose dictionaries of numbers are of texts: who made categories of numbers means names, not sizes.

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
