"""Tables in files: CSV and Parquet, one file or many parts of one table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from driftwatch.data.csv_tables import find_types, read_batches
from driftwatch.data.readers import Dataset
from driftwatch.data.refused_rows import Refusals
from driftwatch.data.schema import Column, Schema, TableSchema
from driftwatch.data.tables import category_text, is_missing, near_name
from driftwatch.errors import DataError
from driftwatch.locations import Location, path_below

TABLE_SUFFIXES = (".parquet", ".csv")
MAX_CATEGORIES = 64
READ_ROWS = 16_384
KEYS = "data.exclude, or data.columns without it"
"""The keys of a training's configuration that choose columns, for messages."""

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""Stands for a missing value in a folder's name, as Hive, Spark and Arrow write it."""

_OWN = re.compile(r"(^|/)[._]")
_KEY = re.compile(r"([^/=]+)=([^/]*)/")


class TableDataset(Dataset):
    """Rows of CSV or Parquet files, in batches.

    Folders may be named ``key=value``: `key` then is a column of texts. It is read where `columns` names it, or the
    schema that is read by; to learn what a row is, it is left out, since most keys are dates.

    Args:
        path: of the file, folder or pattern.
        parts: the files, in the order in which they are read.
        columns: which to read, in which order; all if None.
        exclude: which to leave out of all.
    """

    def __init__(
        self, path: Location, parts: Sequence[Location], columns: Sequence[str] | None, exclude: Sequence[str] = ()
    ) -> None:
        super().__init__(path)
        suffixes = sorted({place.suffix for place in parts})
        if len(suffixes) > 1:
            raise DataError(f"holds {' and '.join(suffixes)}", where=str(path), remedy=f"choose: {path}/*{suffixes[0]}")
        self._parts = [_part(place) for place in parts]
        self._columns = list(columns) if columns is not None else None
        if exclude:
            self._columns = self._all_but(exclude)
        for part in self._parts:
            part.require(self._columns or ())
        if self.rows == 0:
            raise DataError("has no rows", where=str(path), remedy="give at least one row below the header")

    def _all_but(self, exclude: Sequence[str]) -> list[str]:
        held = self._parts[0].schema.names
        for name in exclude:
            if not any(name in (*part.schema.names, *part.keys) for part in self._parts):
                raise _has_no_column(name, held, str(self.path))
        left = [name for name in held if name not in exclude]
        if not left:
            raise DataError("all columns are excluded", where=str(self.path), remedy=f"it has {', '.join(held[:20])}")
        return left

    @cached_property
    def rows(self) -> int:
        return sum(part.rows for part in self._parts)

    def files(self) -> Sequence[Location]:
        return [part.place for part in self._parts]

    def infer_schema(self) -> Schema:
        return self.schema_with(())

    def schema_with(self, others: Sequence[TableDataset]) -> TableSchema:
        """The schema that fits this and others, as if all were one table.

        Raises:
            DataError: none does.
        """
        kinds: dict[str, pa.DataType] = {}
        texts: dict[str, set[str]] = {}
        names = self._columns or self._parts[0].schema.names
        for part in (*self._parts, *(part for other in others for part in other._parts)):
            part.require(names)
            for batch in part.batches(READ_ROWS, self._columns):
                for name in names:
                    column = batch.column(name)
                    kinds[name] = self._one_kind(part, name, kinds.get(name, column.type), column.type)
                    if _is_text(column.type) and len(texts.setdefault(name, set())) <= MAX_CATEGORIES:
                        values = column.unique().to_pylist()
                        texts[name].update(category_text(value) for value in values if not is_missing(value))
        return TableSchema(columns=self._learned(kinds, texts))

    def pieces(self, rows: int, start: int, refusals: Refusals | None) -> Iterator[tuple[int, Any]]:  # noqa: ARG002
        first = 0
        for part in self._parts:
            if start >= first + part.rows:
                first += part.rows
                continue
            for batch in part.batches(rows, self._columns):
                skip = max(0, start - first)
                if skip < batch.num_rows:
                    yield first + skip, pa.Table.from_batches([batch.slice(skip)])
                first += batch.num_rows

    def _one_kind(self, part: _Part, name: str, first: pa.DataType, kind: pa.DataType) -> pa.DataType:
        """The type of a column that was of one type so far, and now is of another; what is empty may become any."""
        if pa.types.is_null(first):
            return kind
        if _is_text(first) != _is_text(kind) and not pa.types.is_null(kind):
            raise DataError(
                f"holds {kind}, in {self._parts[0].place.name} {first}",
                where=f"{part.place}: column {name}",
                remedy="the parts of a table have columns of the same types",
            )
        return first

    def _learned(self, kinds: Mapping[str, pa.DataType], texts: Mapping[str, set[str]]) -> tuple[Column, ...]:
        """The columns, as they are learned.

        Raises:
            DataError: some cannot be; all of them are told at once, as each look at a large file takes its time.
        """
        learned: list[Column] = []
        refused: dict[str, DataError] = {}
        for name, kind in kinds.items():
            try:
                learned.append(self._column(name, kind, texts.get(name, set())))
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

    def _column(self, name: str, kind: pa.DataType, values: set[str]) -> Column:
        where = f"{self.path}: column {name}"
        if _is_text(kind):
            if len(values) > MAX_CATEGORIES:
                raise DataError(
                    f"has more than {MAX_CATEGORIES} different texts",
                    where=where,
                    remedy=_number_hint(values) or f"leave it out ({KEYS})",
                )
            return Column(name=name, kind="category", categories=tuple(sorted(values)))
        if not (
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_null(kind)
            or pa.types.is_decimal(kind)
        ):
            mend = "save its texts as UTF-8" if pa.types.is_binary(kind) else "make it a number"
            raise DataError(f"is of type {kind}", where=where, remedy=f"leave it out ({KEYS}), or {mend}")
        return Column(name=name, kind="numeric")


class _Part:
    """One file of a table.

    Args:
        place: of the file.
        schema: of what is in it.
        rows: in it.
    """

    def __init__(self, place: Location, schema: pa.Schema, rows: int) -> None:
        self.place = place
        self.schema = schema
        self.rows = rows
        self.keys = {key: unquote(value) for key, value in _KEY.findall(str(place)) if key not in schema.names}

    def require(self, columns: Sequence[str]) -> None:
        """Refuses to go on without some columns.

        Raises:
            DataError: one is missing, or is there several times.
        """
        known = [*self.schema.names, *self.keys]
        twice = [name for name in columns if known.count(name) > 1]
        if twice:
            raise DataError(
                f"has column {twice[0]!r} {known.count(twice[0])} times",
                where=str(self.place),
                remedy=f"rename it, or leave it out ({KEYS})",
            )
        missing = [name for name in columns if name not in known]
        if missing:
            raise _has_no_column(missing[0], known, str(self.place))

    def batches(self, rows: int, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        """Its rows, at most `rows` at a time: `columns`, or all and the folders' keys.

        Raises:
            DataError: it cannot be read.
        """
        stored = [name for name in columns if name in self.schema.names] if columns is not None else None
        for found in self._stored(rows, stored):
            batch = found
            for key, value in self.keys.items():
                if columns is None or key in columns:
                    known = pa.scalar(None if value == NO_VALUE else value, pa.string())
                    batch = batch.append_column(key, pa.repeat(known, batch.num_rows))
            yield batch

    def _stored(self, rows: int, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        try:
            with _opened(self.place) as source:
                if self.place.suffix == ".parquet":
                    # Arrow's buffer ahead would hold what was read already, in the end the whole file.
                    file = pa_parquet.ParquetFile(source, pre_buffer=False)
                    yield from file.iter_batches(batch_size=rows, columns=columns)
                    return
                for batch in read_batches(source, self.schema, columns or ()):
                    for start in range(0, batch.num_rows, rows):
                        yield batch.slice(start, rows)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.place, error) from None


def parts_of_table(path: Location, files: Sequence[Location]) -> Sequence[Location]:
    """The tables among the files below a path; what begins with ``_`` or ``.`` is some program's own."""
    tables = [file for file in files if file.suffix in TABLE_SUFFIXES]
    return tables if "*" in str(path) else [file for file in tables if not _OWN.search(path_below(path, file))]


def _has_no_column(name: str, known: Sequence[str], where: str) -> DataError:
    near = near_name(name, known)
    meant = f"is it {near!r}? " if near else ""
    return DataError(f"has no column {name!r}", where=where, remedy=f"{meant}it has {', '.join(known[:20])}")


def _part(place: Location) -> _Part:
    try:
        if place.suffix == ".csv":
            with place.open("rb") as text:
                return _Part(place, *find_types(text, str(place)))
        with _opened(place) as source:
            file = pa_parquet.ParquetFile(source)
            return _Part(place, file.schema_arrow, file.metadata.num_rows)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(place, error) from None


def _unreadable(place: Location, error: Exception) -> DataError:
    remedy = "the first line names the columns, every row has as many values, and none of them has a line break in it"
    if isinstance(error, OSError):
        remedy = ""
    elif place.suffix == ".parquet":
        remedy = "is the file complete?"
    elif isinstance(error, UnicodeDecodeError):
        remedy = "save it as UTF-8"
    elif "conversion error" in str(error):
        remedy = "did the file change while it was read?"
    return DataError(f"cannot be read: {error}", where=str(place), remedy=remedy)


@contextmanager
def _opened(place: Location) -> Iterator[Any]:
    """What Arrow reads a file from: its path, or if it is behind a URL the opened file."""
    if isinstance(place, Path):
        yield place
    else:
        with place.open() as file:
            yield file


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_dictionary(kind)
    )


def _number_hint(texts: set[str]) -> str:
    """What keeps a column of texts from being one of numbers, if it nearly is one."""
    strange = sorted(text for text in texts if not _is_number(text))
    if len(strange) > len(texts) // 2:
        return ""
    return f"nearly all are numbers, but not {', '.join(map(repr, strange[:3]))}: mend those, or leave them empty"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
