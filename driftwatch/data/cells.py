"""Cells of tables: numbers, categories, and what stands for neither."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash
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


@dataclass(frozen=True)
class Codes:
    """The numbers that stand for a column's categories.

    Args:
        exact: of categories, by their very texts; and of other texts that were met and are known.
        alike: of categories, by their plain texts, of which the first counts.
        others: digests of the other values that are known (see `digest`).
        other: stands for each of these.
        unseen: stands for a value that is not known.
    """

    exact: dict[str, float]
    alike: Mapping[str, float]
    others: frozenset[int]
    other: float
    unseen: float


def codes_of(categories: Sequence[str], others: Iterable[int] = ()) -> Codes:
    """The codes of categories, their places, and of all other known values together, given by their digests."""
    exact = {name: float(i) for i, name in enumerate(categories)}
    alike = {_plain(name): code for name, code in reversed(exact.items())}
    if alike.keys() <= _DIGITS.keys():
        alike |= {_DIGITS[name]: code for name, code in alike.items()}
    known = frozenset(others)
    return Codes(exact, alike, known, float(len(exact)), float(len(exact) + bool(known)))


def digest(text: str) -> int:
    """By what a value is known that has no category of its own: eight bytes, however long it is, that do not tell it.

    >>> digest("7") == digest("7.0") != digest("007")
    True
    """
    return xxhash.xxh3_64_intdigest(_plain(text).encode(errors="surrogatepass"))


def exact_codes(cells: Sequence[Any], codes: Codes) -> NDArray[np.float64]:
    """The code of each cell that is a known text as it is ``(N,)``; NaN for what is to be looked at by itself.

    >>> exact_codes(["b", "B", "a", 1, None], codes_of(("a", "b"))).tolist()
    [1.0, nan, 0.0, nan, nan]
    """
    try:
        return np.array(list(map(codes.exact.get, cells)), dtype=np.float64)
    except TypeError:  # lists, for one, are no keys
        return np.full(len(cells), np.nan)


def category_reader(codes: Codes) -> Callable[[Any], float]:
    """Reads a cell as its code; NaN if its value is missing."""
    exact, alike, others = codes.exact, codes.alike, codes.others
    most = int(codes.other) + len(others)

    def read(cell: Any) -> float:
        if isinstance(cell, list | tuple | dict):
            raise TypeError
        # What was learned as a category is one, even if it reads as missing.
        text = category_text(cell)
        code = exact.get(text)
        if code is None:
            code = alike.get(plain := _plain(text))
            if code is None and others and digest(text) in others:
                code = codes.other
                # From now on it is found as categories are. Other ways to write it are not kept, as they have no end.
                if plain == text and len(exact) < most:
                    exact[text] = code
        return code if code is not None else math.nan if is_missing(cell) else codes.unseen

    return read


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
