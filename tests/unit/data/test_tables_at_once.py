"""Reading a column's cells all at once gives the same as reading them one by one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from driftwatch.data import tables
from driftwatch.data.schema import Column, digests
from driftwatch.data.tables import MANY, coerce_table
from driftwatch.errors import MessageError

NUMERIC = (Column(name="x", kind="numeric"),)
CATEGORY = (Column(name="x", kind="category", categories=("7", "NA", "a", "true")),)
WITH_OTHERS = (
    Column(name="x", kind="category", categories=("a", "7"), others=(digests(["b", "8"]), digests(["true"]))),
)

NUMBERS: dict[str, list[Any]] = {
    "plain": [1, 2.5, None, True, float("nan"), -0.0, 2**60 + 1],
    "texts among them": [1, "2.5", " NA ", "", None, "1e3"],
    "decimals": [Decimal("1.5"), 2, None],
    "too large a number": [1, 10**400],
    "a list": [1, [2]],
    "lists": [[1], [2]],
}
CATEGORIES: dict[str, list[Any]] = {
    "known": ["a", "7", "true", "NA"],
    "otherwise written": ["a", 7, 7.0, "7.0", True, "TRUE", b"a"],
    "unseen and missing": ["b", None, "", "null", float("nan"), "a"],
    "a list": ["a", ["a"]],
    "a tuple": ["a", ("a",)],
}
OTHERS: dict[str, list[Any]] = {
    "others": ["a", "b", "8", "true", "7", "b"],
    "others otherwise written": [8, 8.0, "8.0", True, "TRUE", b"b", "a", 7],
    "new and missing": ["c", "B", 9, "b", None, "NA", "a"],
}
COLUMNS = [*((NUMERIC, cells) for cells in NUMBERS.values()), *((CATEGORY, cells) for cells in CATEGORIES.values())]
COLUMNS += [(WITH_OTHERS, cells) for cells in OTHERS.values()]


def read(cells: list[Any], columns: tuple[Column, ...]) -> list[float] | str:
    try:
        found = coerce_table([{"x": cell} for cell in cells], columns, "json")[:, 0]
    except MessageError as error:
        return str(error)
    return [float(each) for each in found]


@pytest.mark.parametrize(
    ("columns", "cells"), COLUMNS, ids=[*NUMBERS, *(f"{name} (category)" for name in CATEGORIES), *OTHERS]
)
def test_reading_at_once_equals_reading_one_by_one(
    columns: tuple[Column, ...], cells: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = cells * MANY
    at_once = read(cells, columns)
    monkeypatch.setattr(tables, "MANY", len(cells) + 1)
    one_by_one = read(cells, columns)
    if isinstance(at_once, str) or isinstance(one_by_one, str):
        assert at_once == one_by_one
    else:
        np.testing.assert_array_equal(at_once, one_by_one)


def test_codes_of_rare_values_follow_and_new_ones_come_last() -> None:
    assert read(["a", "7", "b", 8.0, "TRUE", "c", "9"], WITH_OTHERS) == [0.0, 1.0, 2.0, 2.0, 3.0, 4.0, 4.0]


def test_known_values_are_cached_but_not_every_way_to_write_them() -> None:
    column = Column(name="x", kind="category", others=(digests(["8", "b"]),))
    assert read(["b", "8." + "0" * 9, "8." + "0" * 99, "c"], (column,)) == [0.0, 0.0, 0.0, 1.0]
    assert column.codes.exact == {"b": 0.0}


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_texts_in_arrow_equal_those_in_rows(kind: pa.DataType) -> None:
    cells = ["a", "b", None, "7", "7.0", "TRUE", "NA", "", "a", "c"]
    column = pa.chunked_array([pa.array(cells[:4], kind), pa.array(cells[4:], kind)])
    for columns in (CATEGORY, WITH_OTHERS):
        found = coerce_table(pa.table({"x": column}), columns, "arrow")[:, 0]
        np.testing.assert_array_equal(found, read(cells, columns))


def test_a_text_that_is_not_utf_8_is_reported_with_its_row() -> None:
    bad = pa.array([b"a", b"b", b"\xff", b"7"]).view(pa.string())
    for columns in (CATEGORY, WITH_OTHERS):
        with pytest.raises(MessageError, match="row 2 holds"):
            coerce_table(pa.table({"x": bad}), columns, "arrow")


def test_numbers_in_arrow_may_be_missing() -> None:
    for kind in (pa.float64(), pa.int32()):
        found = coerce_table(pa.table({"x": pa.array([1, None, 3], kind)}), NUMERIC, "arrow")[:, 0]
        np.testing.assert_array_equal(found, [1.0, np.nan, 3.0])
