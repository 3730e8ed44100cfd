"""Rows and columns of mixed types into arrays of numbers, by a table's columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from driftwatch.errors import MessageError

MISSING_TEXT = frozenset({"", "nan", "NaN", "NA", "N/A", "null", "None"})


class ColumnLike(Protocol):
    """A column of a table's schema."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def kind(self) -> str:
        """``numeric`` or ``category``."""

    @property
    def categories(self) -> tuple[str, ...]:
        """The known values of a category, in order."""


def is_rows(value: Any) -> bool:
    """Whether a value is a list of mappings."""
    return isinstance(value, Sequence) and len(value) > 0 and isinstance(value[0], Mapping)


def coerce_table(value: Any, columns: Sequence[ColumnLike], where: str) -> NDArray[np.float64]:
    """Rows as numbers ``(N, columns)``: a category is its index, an unseen one ``len(categories)``, NaN is missing.

    Args:
        value: rows by column name, columns by name, an Arrow table, a data frame, or rows in the columns' order.
        columns: to read; others are left out.
        where: for messages.

    Raises:
        MessageError: a column is missing, or holds what it cannot.
    """
    by_name = _columns_of(value, columns, where)
    lengths = {name: len(values) for name, values in by_name.items()}
    if len(set(lengths.values())) > 1:
        raise MessageError(f"columns differ in length: {lengths}", reason="shape", where=where)
    out = np.empty((next(iter(lengths.values()), 0), len(columns)))
    for j, column in enumerate(columns):
        read = _categories if column.kind == "category" else _numbers
        out[:, j] = read(by_name[column.name], column, where)
    return out


def _columns_of(value: Any, columns: Sequence[ColumnLike], where: str) -> Mapping[str, Sequence[Any]]:
    names = [column.name for column in columns]
    if hasattr(value, "column_names") and hasattr(value, "column"):
        found = {name: value.column(name) for name in names if name in value.column_names}
    elif isinstance(value, Mapping) and any(_is_sequence(item) for item in value.values()):
        found = {name: value[name] for name in names if name in value and _is_sequence(value[name])}
    elif isinstance(value, Mapping):
        found = {name: [value[name]] for name in names if name in value}
    elif is_rows(value):
        if not all(isinstance(row, Mapping) for row in value):
            raise MessageError("mixes rows by name with other values", reason="schema", where=where)
        found = {name: [row.get(name) for row in value] for name in names if any(name in row for row in value)}
    else:
        return _in_order(value, names, where)
    missing = [name for name in names if name not in found]
    if missing:
        raise MessageError(
            f"column {missing[0]!r} is missing" + (f", and {len(missing) - 1} more" if missing[1:] else ""),
            reason="schema",
            where=where,
            remedy=f"expected columns {', '.join(names[:12])}{'...' if len(names) > 12 else ''}",
        )
    return found


def _in_order(value: Any, names: Sequence[str], where: str) -> Mapping[str, Sequence[Any]]:
    rows = value.tolist() if isinstance(value, np.ndarray) else value
    if not _is_sequence(rows):
        raise MessageError(f"holds {type(rows).__name__}, no rows", reason="schema", where=where)
    if len(rows) and not _is_sequence(rows[0]):
        rows = [rows]
    for row in rows:
        if not _is_sequence(row) or len(row) != len(names):
            got = len(row) if _is_sequence(row) else "no"
            raise MessageError(
                f"a row holds {got} values", reason="shape", where=where, remedy=f"expected {len(names)}"
            )
    return {name: [row[j] for row in rows] for j, name in enumerate(names)}


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes)


def _plain(values: Any) -> list[Any]:
    """Python values of a list, an Arrow column or an array; missing ones as None."""
    if hasattr(values, "to_pylist"):
        values = values.to_pylist()
    elif isinstance(values, np.ndarray):
        values = values.tolist()
    return list(values)


def _numbers(values: Any, column: ColumnLike, where: str) -> NDArray[np.float64]:
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf" and values.ndim == 1:
        return values.astype(np.float64)
    out = np.empty(len(values))
    for i, cell in enumerate(_plain(values)):
        if cell is None or (isinstance(cell, str) and cell.strip() in MISSING_TEXT):
            out[i] = np.nan
            continue
        try:
            out[i] = float(cell)
        except (TypeError, ValueError, OverflowError):
            raise MessageError(
                f"row {i} holds {cell!r}"[:200],
                reason="schema",
                where=f"{where}: column {column.name}" if where else f"column {column.name}",
                remedy="expected a number",
            ) from None
    return out


def _categories(values: Any, column: ColumnLike, where: str) -> NDArray[np.float64]:
    known = {name: float(i) for i, name in enumerate(column.categories)}
    out = np.empty(len(values))
    for i, cell in enumerate(_plain(values)):
        if isinstance(cell, list | dict):
            raise MessageError(
                f"row {i} holds a {type(cell).__name__}",
                reason="schema",
                where=f"{where}: column {column.name}" if where else f"column {column.name}",
                remedy="expected one value",
            )
        out[i] = np.nan if is_missing(cell) else known.get(category_text(cell), float(len(known)))
    return out


def is_missing(cell: Any) -> bool:
    """Whether a cell stands for no value.

    >>> [is_missing(cell) for cell in (None, float("nan"), "", "a", 0)]
    [True, True, True, False, False]
    """
    return cell is None or (isinstance(cell, float) and math.isnan(cell)) or (isinstance(cell, str) and not cell)


def category_text(cell: Any) -> str:
    """The text by which a category is known: the same for ``1`` and ``1.0``, ``True`` and ``true``."""
    if isinstance(cell, bytes):
        return cell.decode(errors="replace")
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
