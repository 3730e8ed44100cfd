"""Columns of Arrow tables as numbers, or as their distinct values, without unfolding what is stored once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftwatch.errors import MessageError

Rows = NDArray[np.int64]


def is_number(kind: pa.DataType) -> bool:
    """Whether a type is of integers or floats."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def floats(column: Any) -> NDArray[np.float64] | None:
    """A column of numbers as float64 with NaN for null; None if it holds something else."""
    if not (is_number(column.type) or pa.types.is_boolean(column.type) or pa.types.is_null(column.type)):
        return None
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def distinct(column: Any, where: str) -> tuple[list[Any], Rows, Rows]:
    """The values that occur in a column, once each.

    A dictionary's long value may stand in every row of a short message, so rows are never unfolded.

    Args:
        column: Arrow array or chunked array ``(N,)``.
        where: for messages.

    Returns:
        Python values ``(K,)`` with None for null; which of them each row holds ``(N,)``; first rows ``(K,)``.

    Raises:
        MessageError: its type cannot be a cell of a table.
    """
    kind = column.type
    if not _is_cell(kind.value_type if pa.types.is_dictionary(kind) else kind):
        expected = "texts in UTF-8" if pa.types.is_binary(kind) else "numbers, booleans or texts"
        raise MessageError(f"is of type {kind}", reason="schema", where=where, remedy=f"expected {expected}")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_null(kind):
        return [None], np.zeros(len(column), np.int64), np.zeros(1, np.int64)
    encoded = column if pa.types.is_dictionary(kind) else column.dictionary_encode()
    index = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    used, first, rows = np.unique(index, return_index=True, return_inverse=True)
    known = encoded.dictionary.take(pa.array(used[used >= 0])).to_pylist()
    return [None] * int((used < 0).sum()) + known, rows, first


def _is_cell(kind: pa.DataType) -> bool:
    return bool(
        is_number(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
    )
