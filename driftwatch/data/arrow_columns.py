"""Columns of Arrow tables as numbers or distinct values, without expanding what is stored only once."""

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
    """Whether a type is an integer or floating-point type."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is a text type, or one of bytes, which is what text is if its writer did not declare it."""
    return is_bytes(kind) or any(
        holds(kind) for holds in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    )


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is a list type, like that of a column of embeddings."""
    return any(holds(kind) for holds in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a type is one of bytes."""
    return any(holds(kind) for holds in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view))


def is_view(kind: pa.DataType) -> bool:
    """Whether a type is one of texts or bytes of which several may refer to the same place."""
    return bool(pa.types.is_string_view(kind) or pa.types.is_binary_view(kind))


def floats(column: Any) -> NDArray[np.float64] | None:
    """A numeric column as float64, with NaN for null; None for other columns."""
    if not (is_number(column.type) or pa.types.is_boolean(column.type) or pa.types.is_null(column.type)):
        return None
    exact = column if pa.types.is_float64(column.type) else column.cast(pa.float64(), safe=False)
    return np.asarray(exact.to_numpy(), dtype=np.float64)


def text_codes(column: Any, categories: tuple[str, ...]) -> NDArray[np.float64]:
    """The index of each text that equals a category's, in a column of plain text; NaN for everything else, ``(N,)``."""
    if not categories or not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return np.full(len(column), np.nan)
    found = pc.index_in(column, value_set=_texts(categories, column.type)).to_numpy(zero_copy_only=False)
    return np.array(found, dtype=np.float64)


def plain_texts(column: Any) -> list[str | None] | None:
    """The values of a column of plain texts; None where it holds something else, or what is no UTF-8."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return None
    try:
        return column.to_pylist()  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        return None


@lru_cache(maxsize=1_024)
def _texts(categories: tuple[str, ...], kind: pa.DataType) -> pa.Array:
    return pa.array(categories, kind)


def distinct(column: Any, where: str, places: Rows | None = None) -> tuple[list[Any], Rows, Rows]:
    """The distinct values of a column.

    A dictionary's long value may occur in every row of a short message, so rows are never expanded.

    Args:
        column: Arrow array or chunked array ``(N,)``.
        where: for error messages.
        places: row numbers ``(N,)`` of the column's values, if not 0 to N - 1.

    Returns:
        Python values ``(K,)`` with None for null; the index of each row's value ``(N,)``; first rows ``(K,)``.

    Raises:
        MessageError: its type cannot be that of a table cell, or it contains bytes that are not text.
    """
    kind = column.type
    held = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not is_cell(held) or (held != kind and is_view(held)):  # Arrow cannot take views from a dictionary
        remedy = "expected numbers, booleans or texts"
        raise MessageError(f"is of type {kind}", reason="schema", where=where, remedy=remedy)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if is_view(kind):  # Arrow's `take` does not support views
        column = column.cast(pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary())
    if pa.types.is_decimal(kind) and kind.bit_width < 128:  # nor does its `dictionary_encode` support short decimals
        column = column.cast(pa.decimal128(kind.precision, kind.scale))
    if pa.types.is_null(kind):
        return [None], np.zeros(len(column), np.int64), np.zeros(1, np.int64)
    encoded = column if pa.types.is_dictionary(kind) else column.dictionary_encode()
    index = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    used, first, rows = np.unique(index, return_index=True, return_inverse=True)
    first = first if places is None else places[first]
    found = encoded.dictionary.take(pa.array(used[used >= 0]))
    # In damaged files, even text columns may contain invalid UTF-8.
    known = (found.cast(pa.large_binary()) if is_text(found.type) else found).to_pylist()
    values = [None] * int((used < 0).sum()) + known
    return [_as_text(value, row, where) for value, row in zip(values, first.tolist(), strict=True)], rows, first


def _as_text(value: Any, row: int, where: str) -> Any:
    """Decode bytes as UTF-8 text; anything else is returned unchanged."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        what = f"row {row} holds {value[:SHOWN_BYTES]!r}"
        raise MessageError(what, reason="schema", where=where, row=row, remedy="expected texts in UTF-8") from None


def is_cell(kind: pa.DataType) -> bool:
    """Whether a type can be that of a table cell."""
    return bool(
        is_number(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
        or pa.types.is_decimal(kind)
        or is_text(kind)
    )
