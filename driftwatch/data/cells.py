"""Cells of tables: numbers, categories, and what stands for neither."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING_TEXT = frozenset(
    (
        *("", "NA", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA", "NULL", "null", "None"),
        *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
    )
)
"""Texts that stand for no value in every column, file and message: those that `pandas.read_csv` takes for it. One rule
for all, since the same row must be the same to a training as to a daemon, whatever carried it."""

_WHOLE = re.compile(r"(-?\d+)\.0+")

_DIGITS = {"false": "0", "true": "1"}
"""Truth values as databases, one-hot encoders and formats without such a type write them. To a model they are the same,
so where a column knows no other values, they are here."""


def number(cell: Any) -> float:
    """A numeric cell; NaN if its value is missing.

    Raises:
        TypeError: it is no number.
        ValueError: likewise.
    """
    if cell is None or (isinstance(cell, str) and cell.strip() in MISSING_TEXT):
        return math.nan
    try:
        return float(cell)
    except TypeError:
        if not isinstance(cell, list | tuple | dict) and is_missing(cell):  # pandas.NA, which is no number
            return math.nan
        raise


PLAIN = frozenset((int, float, bool, type(None)))
"""Types of cells that are numbers as they are, or missing."""


def plain_numbers(cells: Sequence[Any]) -> NDArray[np.float64] | None:
    """Numeric cells ``(N,)`` all at once; None where some are to be looked at one by one.

    >>> plain_numbers([1, None, 2.5]).tolist(), plain_numbers([1, "2"])
    ([1.0, nan, 2.5], None)
    """
    if not PLAIN.issuperset(map(type, cells)):
        return None
    try:
        return np.array(cells, dtype=np.float64)
    except OverflowError:
        return None


def exact_codes(cells: Sequence[Any], categories: tuple[str, ...]) -> NDArray[np.float64]:
    """The index of each cell that is a category's very text ``(N,)``; NaN for what is to be looked at by itself.

    >>> exact_codes(["b", "B", "a", 1, None], ("a", "b")).tolist()
    [1.0, nan, 0.0, nan, nan]
    """
    known, _ = _codes(categories)
    try:
        return np.array(list(map(known.get, cells)), dtype=np.float64)
    except TypeError:  # lists, for one, are no keys
        return np.full(len(cells), np.nan)


def category_reader(categories: tuple[str, ...]) -> Callable[[Any], float]:
    """Reads a cell as the index of its category: ``len(categories)`` for an unseen one, NaN if its value is missing."""
    known, alike = _codes(categories)

    def read(cell: Any) -> float:
        if isinstance(cell, list | tuple | dict):
            raise TypeError
        # What was learned as a category is one, even if it reads as missing.
        text = category_text(cell)
        code = known.get(text)
        if code is None:
            code = alike.get(_plain(text))
        return code if code is not None else math.nan if is_missing(cell) else float(len(known))

    return read


@lru_cache(maxsize=1_024)
def _codes(categories: tuple[str, ...]) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """The codes of categories, by their names and by their plain ones, of which the first counts."""
    known = {name: float(i) for i, name in enumerate(categories)}
    alike = {_plain(name): code for name, code in reversed(known.items())}
    if alike.keys() <= _DIGITS.keys():
        alike |= {_DIGITS[name]: code for name, code in alike.items()}
    return known, alike


def _plain(text: str) -> str:
    """The text of a whole number or a truth value, however a writer of CSV wrote it.

    >>> [_plain(text) for text in ("7", "7.0", "-7.00", "007", "7.5", "TRUE", "Ulm")]
    ['7', '7', '-7', '007', '7.5', 'true', 'Ulm']
    """
    if (found := _WHOLE.fullmatch(text)) is not None:
        return found[1]
    return lower if (lower := text.lower()) in ("true", "false") else text


def is_missing(cell: Any) -> bool:
    """Whether a cell stands for no value.

    >>> [is_missing(cell) for cell in (None, float("nan"), "", " NA", "a", 0)]
    [True, True, True, True, False, False]
    """
    return cell is None or category_text(cell).strip() in MISSING_TEXT


def category_text(cell: Any) -> str:
    """The text by which a category is known: the same for ``1`` and ``1.0``, ``True`` and ``true``."""
    if isinstance(cell, bytes):
        return cell.decode(errors="replace")
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
