"""Reading of table cells as numbers, categories, or missing values."""

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
"""Text that stands for a missing value in every column, file and message, as in `pandas.read_csv`. There is one rule
for all formats, since training and the daemon must read a row alike, whatever format it came in."""

_WHOLE = re.compile(r"(-?\d+)\.0+")

_OTHERWISE = ({"false": "0", "true": "1"}, {"0": "false", "1": "true"})
"""Truth values as written by databases, one-hot encoders and formats without a boolean type. Models treat both alike,
so they are equivalent in columns that have no other categories."""


def number(cell: Any) -> float:
    """A numeric cell; NaN if its value is missing.

    Raises:
        TypeError: it is not a number.
        ValueError: it is not a number.
    """
    if cell is None or (isinstance(cell, str) and cell.strip() in MISSING_TEXT):
        return math.nan
    try:
        return float(cell)
    except TypeError:
        if not isinstance(cell, list | tuple | dict) and is_missing(cell):  # pandas.NA does not convert to float
            return math.nan
        raise


PLAIN = frozenset((int, float, bool, type(None)))
"""Types of cells that are numbers or missing, without further checks."""


def plain_numbers(cells: Sequence[Any]) -> NDArray[np.float64] | None:
    """Convert numeric cells ``(N,)`` at once; None if some need to be read one by one.

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
    """The codes of a column's categories and other known values.

    Args:
        exact: codes of categories by their text, and of other known texts that were met before.
        alike: codes of categories by their plain text, of which the first one counts.
        others: codes of known values without a category of their own, by their digest (see `digest`).
        unseen: the code of unknown values.
        most: how many texts `exact` may hold.
    """

    exact: dict[str, float]
    alike: Mapping[str, float]
    others: Mapping[int, float]
    unseen: float
    most: int


def codes_of(categories: Sequence[str], others: Sequence[Iterable[int]] = ()) -> Codes:
    """The codes of categories, which are their indices, and of each class of other known values, given by digest."""
    exact = {name: float(i) for i, name in enumerate(categories)}
    alike = {_plain(name): code for name, code in reversed(exact.items())}
    otherwise = next((each for each in _OTHERWISE if alike.keys() <= each.keys()), {})
    alike |= {other: alike[name] for name, other in otherwise.items() if name in alike}
    known = {each: float(len(exact) + place) for place, digests in enumerate(others) for each in digests}
    return Codes(exact, alike, known, float(len(exact) + len(others)), len(exact) + len(known))


def digest(text: str) -> int:
    """The digest that identifies a known value without a category: eight bytes.

    It saves space and hides nothing: anyone can test whether a value is known.

    >>> digest("7") == digest("7.0") != digest("007")
    True
    """
    return xxhash.xxh3_64_intdigest(_plain(text).encode(errors="surrogatepass"))


def exact_codes(cells: Sequence[Any], codes: Codes) -> NDArray[np.float64]:
    """The code of each cell that equals a known text ``(N,)``; NaN for cells that need to be read one by one.

    >>> exact_codes(["b", "B", "a", 1, None], codes_of(("a", "b"))).tolist()
    [1.0, nan, 0.0, nan, nan]
    """
    try:
        return np.array(list(map(codes.exact.get, cells)), dtype=np.float64)
    except TypeError:  # unhashable cells, such as lists
        return np.full(len(cells), np.nan)


def category_reader(codes: Codes) -> Callable[[Any], float]:
    """Make a function that reads a cell as its code; NaN if its value is missing."""
    exact, alike, others = codes.exact, codes.alike, codes.others

    def read(cell: Any) -> float:
        if isinstance(cell, list | tuple | dict):
            raise TypeError
        # A learned category counts as such even if its text would otherwise mean a missing value.
        text = category_text(cell)
        code = exact.get(text)
        if code is None:
            code = alike.get(plain := _plain(text))
            if code is None and others:
                code = others.get(digest(text))
            # Found like a category from now on. Other spellings of it are not stored: there is no end of them.
            if code is not None and plain == text and len(exact) < codes.most:
                exact[text] = code
        return code if code is not None else math.nan if is_missing(cell) else codes.unseen

    return read


def _plain(text: str) -> str:
    """Normalize the text of an integer or a truth value, however it was written to CSV.

    >>> [_plain(text) for text in ("7", "7.0", "-7.00", "007", "7.5", "TRUE", "Ulm")]
    ['7', '7', '-7', '007', '7.5', 'true', 'Ulm']
    """
    if (found := _WHOLE.fullmatch(text)) is not None:
        return found[1]
    return lower if (lower := text.lower()) in ("true", "false") else text


def is_missing(cell: Any) -> bool:
    """Whether a cell stands for a missing value.

    >>> [is_missing(cell) for cell in (None, float("nan"), "", " NA", "a", 0)]
    [True, True, True, True, False, False]
    """
    return cell is None or category_text(cell).strip() in MISSING_TEXT


def category_text(cell: Any) -> str:
    """The text that identifies a category: the same for ``1`` and ``1.0``, ``True`` and ``true``."""
    if isinstance(cell, bytes):
        return cell.decode(errors="replace")
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
