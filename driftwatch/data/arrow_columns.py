"""Columns of Arrow tables as numbers, or as their distinct values, without unfolding what is stored once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from driftwatch.errors import MessageError

Rows = NDArray[np.int64]

SHOWN_BYTES = 40


def is_number(kind: pa.DataType) -> bool:
    """Whether a type is of integers or floats."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is of texts; of bytes, too, which are texts where a writer did not say so."""
    return is_bytes(kind) or any(
        holds(kind) for holds in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    )


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is of lists, such as the vectors of a column of embeddings."""
    return any(holds(kind) for holds in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a type is of bytes."""
    return any(holds(kind) for holds in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view))


def floats(column: Any) -> NDArray[np.float64] | None:
    """A column of numbers as float64 with NaN for null; None if it holds something else."""
    if not (is_number(column.type) or pa.types.is_boolean(column.type) or pa.types.is_null(column.type)):
        return None
    exact = column if pa.types.is_float64(column.type) else column.cast(pa.float64(), safe=False)
    return np.asarray(exact.to_numpy(), dtype=np.float64)


def text_codes(column: Any, categories: tuple[str, ...]) -> NDArray[np.float64]:
    """Of a column of plain texts the index of each that is a category's very text; NaN for all else, ``(N,)``."""
    if not categories or not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return np.full(len(column), np.nan)
    found = pc.index_in(column, value_set=_texts(categories, column.type)).to_numpy(zero_copy_only=False)
    return np.array(found, dtype=np.float64)


@lru_cache(maxsize=1_024)
def _texts(categories: tuple[str, ...], kind: pa.DataType) -> pa.Array:
    return pa.array(categories, kind)


def distinct(column: Any, where: str, places: Rows | None = None) -> tuple[list[Any], Rows, Rows]:
    """The values that occur in a column, once each.

    A dictionary's long value may stand in every row of a short message, so rows are never unfolded.

    Args:
        column: Arrow array or chunked array ``(N,)``.
        where: for messages.
        places: the rows ``(N,)`` that the column's values come from, if not from 0 to N - 1.

    Returns:
        Python values ``(K,)`` with None for null; which of them each row holds ``(N,)``; first rows ``(K,)``.

    Raises:
        MessageError: its type cannot be a cell of a table, or it holds bytes that are no text.
    """
    kind = column.type
    if not is_cell(kind.value_type if pa.types.is_dictionary(kind) else kind):
        remedy = "expected numbers, booleans or texts"
        raise MessageError(f"is of type {kind}", reason="schema", where=where, remedy=remedy)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):  # of which Arrow takes none by their places
        column = column.cast(pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary())
    if pa.types.is_null(kind):
        return [None], np.zeros(len(column), np.int64), np.zeros(1, np.int64)
    encoded = column if pa.types.is_dictionary(kind) else column.dictionary_encode()
    index = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    used, first, rows = np.unique(index, return_index=True, return_inverse=True)
    first = first if places is None else places[first]
    found = encoded.dictionary.take(pa.array(used[used >= 0]))
    # Of a damaged file even texts may be no UTF-8.
    known = (found.cast(pa.large_binary()) if is_text(found.type) else found).to_pylist()
    values = [None] * int((used < 0).sum()) + known
    return [_as_text(value, row, where) for value, row in zip(values, first.tolist(), strict=True)], rows, first


def _as_text(value: Any, row: int, where: str) -> Any:
    """Bytes as the text that they are in UTF-8; anything else as it is."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        told = f"row {row} holds {value[:SHOWN_BYTES]!r}"
        raise MessageError(told, reason="schema", where=where, row=row, remedy="expected texts in UTF-8") from None


def is_cell(kind: pa.DataType) -> bool:
    """Whether a type is of what a cell of a table may hold."""
    return bool(
        is_number(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
        or pa.types.is_decimal(kind)
        or is_text(kind)
    )
