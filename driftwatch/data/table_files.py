"""Tables in CSV and Parquet files: a single file, or the many parts of one table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

from driftwatch.data.arrow_columns import distinct, is_bytes, is_list, is_number, is_text
from driftwatch.data.cells import category_text, is_missing
from driftwatch.data.csv_tables import text_columns
from driftwatch.data.readers import Dataset
from driftwatch.data.refused_rows import Indices, Refusals, RefusedRow, data_error
from driftwatch.data.schema import MOST_KNOWN, Column, Schema, TableSchema, table_of
from driftwatch.data.table_parts import KEYS, Part, has_no_column, open_part, table_suffix
from driftwatch.errors import DataError, MessageError
from driftwatch.locations import Location

READ_ROWS = 16_384
MOST_DIFFERENT = 0.5
"""Of the rows with a value: where more have one of their own, a column holds ids or free texts, and the next is new."""

FEW = 64
"""Different texts that any column may have, be they dates or as many as rows; each is a category."""

_TIME = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ].*)?|\d{1,2}:\d{2}(:\d{2}.*)?")
_CODE = re.compile(r"\d+")


class TableDataset(Dataset):
    """Rows of CSV or Parquet files, in batches.

    In folders named ``key=value``, `key` is a text column. It is read if `columns` or the schema name it; it is not
    learned by default, since most keys are dates.

    Args:
        path: of the file, folder or pattern.
        parts: the files, in reading order.
        columns: to read, in this order; all if None.
        exclude: columns to leave out.
        categories: numeric columns that count as categories when a schema is inferred.
    """

    def __init__(
        self,
        path: Location,
        parts: Sequence[Location],
        columns: Sequence[str] | None,
        exclude: Sequence[str] = (),
        categories: Sequence[str] = (),
    ) -> None:
        super().__init__(path)
        suffixes = sorted({table_suffix(place) for place in parts})
        if len(suffixes) > 1:
            raise DataError(f"holds {' and '.join(suffixes)}", where=str(path), remedy=f"choose: {path}/*{suffixes[0]}")
        self._parts = [open_part(place) for place in parts]
        self._columns = list(columns) if columns is not None else None
        if exclude:
            self._columns = self._all_but(exclude)
        self._categories = frozenset(categories)
        for part in self._parts:
            part.require([*(self._columns or ()), *categories])
        if self.rows == 0:
            raise DataError("has no rows", where=str(path), remedy="give at least one row below the header")

    def _all_but(self, exclude: Sequence[str]) -> list[str]:
        held = self._parts[0].schema.names
        for name in exclude:
            if not any(name in (*part.schema.names, *part.keys) for part in self._parts):
                raise has_no_column(name, held, str(self.path))
        left = [name for name in held if name not in exclude]
        if not left:
            raise DataError("all columns are excluded", where=str(self.path), remedy=f"it has {', '.join(held[:20])}")
        return left

    @cached_property
    def rows(self) -> int:
        return sum(part.rows for part in self._parts)

    def files(self) -> Sequence[Location]:
        return [part.place for part in self._parts]

    def file_of(self, row: int) -> str:
        ends = accumulate(part.rows for part in self._parts)
        places = (str(part.place) for part, end in zip(self._parts, ends, strict=True) if row < end)
        return next(places, "") if len(self._parts) > 1 else ""

    def infer_schema(self) -> Schema:
        return self.schema_with(())

    def schema_with(self, others: Sequence[TableDataset]) -> TableSchema:
        """Infer the schema of this and other data sets as if they were one table.

        Raises:
            DataError: no schema fits all of them.
        """
        kinds: dict[str, pa.DataType] = {}
        texts: dict[str, set[str]] = {}
        filled: Counter[str] = Counter()
        names = self._columns or self._parts[0].schema.names
        parts = [*self._parts, *(part for other in others for part in other._parts)]
        as_texts = {*text_columns(part.schema for part in parts if part.suffix != ".parquet"), *self._categories}
        for part in parts:
            part.require(names)
            part.require_rows()
            row = 0
            for block in part.blocks(READ_ROWS, self._columns, as_texts):
                for name in names:
                    column = block.table.column(name)
                    kinds[name] = self._one_kind(part, name, kinds.get(name, column.type), column.type)
                    if self._is_category(name, column.type) and len(texts.setdefault(name, set())) <= MOST_KNOWN:
                        values = _values(column, str(part.place), name, row)
                        texts[name].update(category_text(value) for value in values if not is_missing(value))
                        filled[name] += len(column) - column.null_count
                row += block.rows
        return table_of(self._learned(kinds, texts, filled), str(self.path))

    def pieces(
        self, schema: Schema | None, rows: int, start: int, refusals: Refusals | None
    ) -> Iterator[tuple[Indices, Any]]:
        columns = schema.columns if isinstance(schema, TableSchema) else ()
        texts = [column.name for column in columns if column.kind == "category"]
        if refusals is None:
            for part in self._parts:
                part.require_rows()
        first = 0
        for part in self._parts:
            if start >= first + part.rows:
                first += part.rows
                continue
            for block in part.blocks(rows, self._columns, texts):
                for place, line in block.bad.items():
                    if refusals is not None and first + place >= start:
                        where = ", ".join(filter(None, (self.file_of(first + place), f"line {line.number}")))
                        refusals.refuse(RefusedRow(first + place, where, line.what), part.bad_line(line))
                indices = first + np.asarray(block.places)
                for begin in range(int(np.searchsorted(indices, start)), len(indices), rows):
                    yield indices[begin : begin + rows], block.table.slice(begin, rows)
                first += block.rows

    def _one_kind(self, part: Part, name: str, first: pa.DataType, kind: pa.DataType) -> pa.DataType:
        """The common type of a column so far, after a block with another type; empty columns may get any type."""
        if pa.types.is_null(first):
            return kind
        if self._is_category(name, first) != self._is_category(name, kind) and not pa.types.is_null(kind):
            raise DataError(
                f"holds {kind}, in {self._parts[0].place.name} {first}",
                where=f"{part.place}: column {name}",
                remedy="the parts of a table have columns of the same types",
            )
        return first

    def _learned(
        self, kinds: Mapping[str, pa.DataType], texts: Mapping[str, set[str]], filled: Mapping[str, int]
    ) -> tuple[Column, ...]:
        """The columns of a schema.

        Raises:
            DataError: some cannot be learned; all of them are reported at once, since reading a large file takes time.
        """
        learned: list[Column] = []
        refused: dict[str, DataError] = {}
        for name, kind in kinds.items():
            try:
                learned.append(self._column(name, kind, texts.get(name, set()), filled[name]))
            except DataError as error:
                refused[name] = error
        if len(refused) > 1:
            raise DataError(
                "; ".join(f"column {name} {each.what}" for name, each in refused.items()),
                where=str(self.path),
                remedy=f"leave them out, data.exclude: [{', '.join(refused)}], or name others in data.columns",
            )
        for only in refused.values():
            raise only
        return tuple(learned)

    def _column(self, name: str, kind: pa.DataType, values: set[str], filled: int) -> Column:
        where = f"{self.path}: column {name}"
        if self._is_category(name, kind):
            what, remedy = _no_categories(values, filled, by_wish=name in self._categories)
            if what:
                raise DataError(what, where=where, remedy=remedy)
            return Column(name=name, kind="category", categories=tuple(sorted(values)))
        if not _holds_numbers(kind):
            instead = "learn its vectors by themselves, as an array (N, D)" if is_list(kind) else "make it a number"
            raise DataError(f"is of type {kind}", where=where, remedy=f"leave it out ({KEYS}), or {instead}")
        return Column(name=name, kind="numeric")

    def _is_category(self, name: str, kind: pa.DataType) -> bool:
        texts = is_text(kind) or bool(pa.types.is_boolean(kind) or pa.types.is_dictionary(kind))
        return texts or (name in self._categories and _holds_numbers(kind))


def _holds_numbers(kind: pa.DataType) -> bool:
    return is_number(kind) or bool(pa.types.is_null(kind) or pa.types.is_decimal(kind))


def _values(column: pa.Array, place: str, name: str, row: int) -> Sequence[Any]:
    """The distinct values of a column; `row` is the number of its first row."""
    if not is_bytes(column.type):
        return column.unique().to_pylist()  # type: ignore[no-any-return]
    try:
        return distinct(column, f"column {name}")[0]
    except MessageError as error:
        raise data_error(error, place, row + (error.row or 0), f"texts, or leave it out ({KEYS})") from None


def _no_categories(texts: set[str], filled: int, *, by_wish: bool) -> tuple[str, str]:
    """Why the values of a column cannot be categories, and the remedy; two empty texts if they can.

    Args:
        texts: its distinct values.
        filled: number of rows with a value.
        by_wish: whether the user declares the column to be one of categories.
    """
    leave = f"leave it out ({KEYS})"
    if by_wish and all(map(_is_number, texts)):
        leave = "leave it out of data.categories"
    hint = "" if by_wish else _number_hint(texts)
    if len(texts) <= FEW:
        return "", ""
    if len(texts) > MOST_KNOWN:
        return f"has more than {MOST_KNOWN:,} different texts", f"{leave}, or group them"
    if len(texts) > MOST_DIFFERENT * filled:
        return f"has {len(texts):,} different texts in {filled:,} rows, as ids and free texts have", hint or leave
    unless = "or name it in data.categories if these are codes"
    if not by_wish and all(_TIME.fullmatch(text) for text in texts):
        return f"has {len(texts):,} different dates or times, of which the next is new", f"{leave}, {unless}"
    if hint and not all(_CODE.fullmatch(text) for text in texts):
        return f"has {len(texts):,} different texts", f"{hint}, {unless}"
    return "", ""


def _number_hint(texts: set[str]) -> str:
    """How to turn a text column that is nearly numeric into a numeric one; empty if it is not."""
    strange = sorted(text for text in texts if not _is_number(text))
    if not strange:
        return "all are numbers: save it as a column of numbers"
    if all(_is_number(text.replace(",", ".")) for text in strange):
        return f"they are numbers with commas, like {strange[0]!r}: save them with points"
    if len(strange) > len(texts) // 2:
        return ""
    return f"nearly all are numbers, but not {', '.join(map(repr, strange[:3]))}: correct those, or leave them empty"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
