"""Converts rows and columns of mixed types to arrays of numbers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.cells import Codes, category_reader, exact_codes, number, plain_numbers
from driftwatch.errors import MessageError

SHOWN_NAMES = 12
SHOWN_NAME = 40
"""Characters shown of a column's name, which the sender of a message chooses."""

COMPARED_NAMES = 100

MANY = 16
"""Columns of at least this many cells are read all at once, which is quicker."""


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
        """The categories, in order."""

    @property
    def codes(self) -> Codes:
        """The codes of its values."""

    @property
    def unseen(self) -> int:
        """The code of unknown values, one more than that of the last known one."""


def is_rows(value: Any) -> bool:
    """Whether a value is a list of mappings."""
    return isinstance(value, Sequence) and len(value) > 0 and isinstance(value[0], Mapping)


def coerce_table(value: Any, columns: Sequence[ColumnLike], where: str) -> NDArray[np.float64]:
    """Rows as numbers ``(N, columns)``: a category is its index, any other value its column's code, NaN is missing.

    Args:
        value: rows by column name, columns by name, an Arrow table, a data frame, or rows in the columns' order. In an
            array of numbers, categories are already given by index.
        columns: the columns to read; others are ignored.
        where: the source, for error messages.

    Raises:
        MessageError: a column is missing, or has a value of the wrong type.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return _coded(value, columns, where)
    by_name = _columns_of(value, columns, where)
    lengths = {name: len(values) for name, values in by_name.items()}
    if len(set(lengths.values())) > 1:
        raise MessageError(f"columns differ in length: {lengths}"[:300], reason="shape", where=where)
    out = np.empty((next(iter(lengths.values()), 0), len(columns)))
    for j, column in enumerate(columns):
        place = f"{where}: column {column.name}" if where else f"column {column.name}"
        out[:, j] = _column(by_name[column.name], column, place)
    return out


def columns_of_rows(rows: Sequence[Mapping[str, Any]], names: Sequence[str], where: str) -> dict[str, list[Any]]:
    """The columns of rows by name; every row must have every column.

    A missing key is as often a mistake of the sender as a missing value, for which null is unambiguous.

    Raises:
        MessageError: a row lacks a column.
    """
    try:
        return {name: list(map(itemgetter(name), rows)) for name in names}
    except KeyError:
        held = set[str]().union(*rows)
        missing = [name for name in names if name not in held]
    if missing:
        raise _lacking(missing, names, rows[0], where)
    number, row = next((i, row) for i, row in enumerate(rows) if any(name not in row for name in names))
    absent = [name for name in names if name not in row]
    raise MessageError(
        f"row {number} lacks {absent[0]!r}" + (f", and {len(absent) - 1} more" if absent[1:] else ""),
        reason="schema",
        where=where,
        remedy="every row has every column, and null or None where a value is missing",
    )


def _coded(array: NDArray[Any], columns: Sequence[ColumnLike], where: str) -> NDArray[np.float64]:
    rows = array[None] if array.ndim == 1 else array
    if rows.ndim != 2 or rows.shape[1] != len(columns):
        raise MessageError(
            f"has shape {array.shape}", reason="shape", where=where, remedy=f"expected (N, {len(columns)})"
        )
    out = rows.astype(np.float64)
    for j, column in enumerate(columns):
        if column.kind != "category":
            continue
        codes = out[:, j][~np.isnan(out[:, j])]
        if not bool(((codes == np.rint(codes)) & (codes >= 0) & (codes <= column.unseen)).all()):
            raise MessageError(
                f"column {column.name!r} holds numbers that are no index of a category",
                reason="schema",
                where=where,
                remedy=f"expected 0 to {column.unseen}, or send rows with the categories' names",
            )
    return out


def _columns_of(value: Any, columns: Sequence[ColumnLike], where: str) -> Mapping[str, Any]:
    names = [column.name for column in columns]
    held: Iterable[Any] = ()
    if hasattr(value, "iloc") and hasattr(value, "columns"):
        held = list(value.columns)
        value = _arrow_of(value, names, where)
    if hasattr(value, "column_names") and hasattr(value, "column"):
        held = held or value.column_names
        found = _named_once(value, names, where)
    elif isinstance(value, Mapping):
        held = value
        known = {name: value[name] for name in names if name in value}
        by_column = any(_is_sequence(item) for item in known.values())
        found = {name: cells if by_column else [cells] for name, cells in known.items()}
        for name, cells in found.items():
            if not _is_sequence(cells):
                raise MessageError(f"column {name!r} is no list, others are", reason="schema", where=where)
    elif is_rows(value):
        if not all(issubclass(kind, Mapping) for kind in set(map(type, value))):
            raise MessageError("mixes rows by name with other values", reason="schema", where=where)
        return columns_of_rows(value, names, where)
    else:
        return _in_order(value, names, where)
    missing = [name for name in names if name not in found]
    if missing:
        raise _lacking(missing, names, held, where)
    return found


def _lacking(missing: Sequence[str], names: Sequence[str], held: Iterable[Any], where: str) -> MessageError:
    """The error for missing columns; `held` are the names of the columns that are there."""
    wanted = set(names)
    others = [str(name) for name in held if name not in wanted]
    near = near_name(missing[0], others)
    return MessageError(
        f"column {missing[0]!r} is missing" + (f", and {len(missing) - 1} more" if missing[1:] else ""),
        reason="schema",
        where=where,
        remedy=(f"is it {near!r}? " if near else "")
        + f"expected columns {_listed(names)}"
        + (f"; not expected, but there: {_listed(others)}" if others else ""),
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name[:SHOWN_NAME] for name in names[:SHOWN_NAMES]) + ("..." if names[SHOWN_NAMES:] else "")


def near_name(name: str, others: Iterable[str]) -> str:
    """The name among `others` that was probably meant; empty if none is near.

    >>> near_name("age", ["name", "AGE "]), near_name("income", ["incme"]), near_name("age", ["town"])
    ('AGE ', 'incme', '')
    """
    candidates = [other for other in others if len(other) <= 2 * len(name) + 2][:COMPARED_NAMES]
    for other in candidates:
        if other.strip().casefold() == name.strip().casefold():
            return other
    return next(iter(difflib.get_close_matches(name, candidates, n=1, cutoff=0.75)), "")


def _arrow_of(frame: Any, names: Sequence[str], where: str) -> Any:
    import pyarrow as pa

    try:
        return pa.Table.from_pandas(frame[[name for name in names if name in frame.columns]], preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise MessageError(f"a column cannot be read: {error}", reason="schema", where=where) from None


def _named_once(table: Any, names: Sequence[str], where: str) -> dict[str, Any]:
    held = list(table.column_names)
    for name in names:
        if held.count(name) > 1:
            what = f"column {name!r} is there {held.count(name)} times"
            raise MessageError(what, reason="schema", where=where, remedy="rename one of them")
    return {name: table.column(held.index(name)) for name in names if name in held}


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
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _column(values: Any, column: ColumnLike, where: str) -> NDArray[np.float64]:
    if hasattr(values, "to_pylist"):
        return _arrow_column(values, column, where)
    if isinstance(values, np.ndarray):
        if column.kind == "numeric" and values.dtype.kind in "biuf" and values.ndim == 1:
            return values.astype(np.float64)
        values = values.tolist()
    return _cells(values, column, where)


def _arrow_column(values: Any, column: ColumnLike, where: str) -> NDArray[np.float64]:
    from driftwatch.data.arrow_columns import distinct, floats, plain_texts, text_codes

    if column.kind == "numeric" and (numbers := floats(values)) is not None:
        return numbers
    # Arrow cannot look up other values, of which only digests are known. Read as texts, those met before are cached.
    if column.codes.others and (texts := plain_texts(values)) is not None:
        return _cells(texts, column, where)
    out = text_codes(values, column.categories)
    left = np.flatnonzero(np.isnan(out))
    if len(left):
        cells, rows, first = distinct(values.take(left) if len(left) < len(out) else values, where, left)
        out[left] = _cells(cells, column, where, first)[rows]
    return out


def _cells(
    cells: Sequence[Any], column: ColumnLike, where: str, rows: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Cells as numbers ``(N,)``; `rows` are their row numbers if these are not 0 to N - 1."""
    category = column.kind == "category"
    read = category_reader(column.codes) if category else number
    found = None
    if len(cells) >= MANY:
        found = exact_codes(cells, column.codes) if category else plain_numbers(cells)
    if found is not None and not category:
        return found
    out = np.empty(len(cells)) if found is None else found
    for i in range(len(cells)) if found is None else np.flatnonzero(np.isnan(out)).tolist():
        cell = cells[i]
        try:
            out[i] = read(cell)
        except (TypeError, ValueError, OverflowError):
            shown = type(cell).__name__ if isinstance(cell, list | tuple | dict) else repr(cell)[:100]
            raise MessageError(
                f"row {(row := i if rows is None else int(rows[i]))} holds {shown}",
                reason="schema",
                row=row,
                where=where,
                remedy="expected a number" if read is number else "expected one value",
            ) from None
    return out
