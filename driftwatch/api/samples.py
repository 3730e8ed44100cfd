"""Conversion of arrays, tensors, data frames and files to samples of a schema."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import torch
from numpy.typing import NDArray

from driftwatch.api.columns import arrow_table, with_category_names
from driftwatch.data.arrow_columns import is_list
from driftwatch.data.readers import CHUNK_ROWS, open_dataset
from driftwatch.data.refused_rows import data_error
from driftwatch.data.schema import Samples, Schema, as_floats
from driftwatch.data.tables import columns_of_rows
from driftwatch.errors import DataError, MessageError
from driftwatch.locations import RemotePath


class SupportsArray(Protocol):
    """Anything that NumPy converts to an array: arrays, torch tensors and many others."""

    def __array__(self, *args: Any, **kwargs: Any) -> NDArray[Any]:
        """The array."""


class SupportsArrow(Protocol):
    """Anything that Arrow converts to a table: its own tables, pandas and polars data frames and many others."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The table through Arrow's C stream interface."""


InMemory = (
    SupportsArray
    | SupportsArrow
    | Mapping[str, Any]
    | Sequence[Mapping[str, Any]]
    | Sequence[SupportsArray]
    | Sequence[Sequence[float]]
)
"""An array or tensor ``(N, ...)``, a list of arrays or of lists of numbers, a data frame or Arrow table, columns by
name, or one or several rows by column name."""

Data = str | Path | RemotePath | InMemory
"""Data in memory, or the path or URL of a data set."""

WHERE = "data"


def samples(data: Data, schema: Schema) -> Iterator[Samples]:
    """The samples in order, in chunks ``(n, *schema.shape)``.

    Raises:
        DataError: the data cannot be read, or does not fit the schema.
    """
    if isinstance(data, str | Path | RemotePath):
        yield from open_dataset(data).chunks(schema)
        return
    held = in_memory(data, [column.name for column in schema.columns] if schema.kind == "table" else None)
    if isinstance(held, pa.Table) and schema.kind != "table":
        held = _matrix(held)
    if isinstance(held, np.ndarray) and held.shape == schema.shape:
        held = held[None]  # a single sample, which must not be cut into pieces
    for start in range(0, max(1, len(held)), CHUNK_ROWS):
        piece = held.slice(start, CHUNK_ROWS) if isinstance(held, pa.Table) else held[start : start + CHUNK_ROWS]
        try:
            yield as_floats(schema.coerce(piece))
        except MessageError as error:
            raise data_error(error, WHERE, start + (error.row or 0), f"a {schema.describe()}") from None


def in_memory(data: InMemory, names: Collection[str] | None = None, unread: Collection[str] = ()) -> Any:
    """Convert data of any library to an array or an Arrow table, without copying where possible.

    Args:
        data: see `InMemory`.
        names: of a table, the columns that are needed; all if None.
        unread: of a table, columns that are not needed.

    Raises:
        DataError: the type is unknown, the data is a single value, a column holds something that is not a table cell,
            or a row lacks a column.
    """
    try:
        held = _converted(data, names, unread)
    except MessageError as error:
        raise DataError(error.what, where=": ".join(filter(None, (WHERE, error.where))), remedy=error.remedy) from None
    except (pa.ArrowException, TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise DataError(f"cannot be read: {error}", where=WHERE) from None
    if held is None:
        raise DataError(
            f"is of type {type(data).__name__}",
            where=WHERE,
            remedy="give an array or tensor, a list of them, a data frame, an Arrow table, rows by column name, or a "
            "path or URL",
        )
    if isinstance(held, np.ndarray) and held.ndim == 0:
        raise DataError("is a single value", where=WHERE, remedy="give samples along the first axis")
    return held


def _converted(data: Any, names: Collection[str] | None, unread: Collection[str]) -> Any:
    if isinstance(data, torch.Tensor):
        return _of_tensor(data)
    if isinstance(data, np.ndarray | np.void) and data.dtype.names:  # records, whose fields are columns
        data = {name: data[name] for name in data.dtype.names}
    if (by_name := _by_name(data, names, unread)) is not None:
        return by_name
    if isinstance(data, list | tuple) and data:
        data = _stacked(data)
    if hasattr(data, "to_list"):  # a column of pandas or polars, of numbers or of lists of them
        data = np.asarray(data.to_list())
    if hasattr(data, "iloc"):  # pandas: its index is no column
        return arrow_table([(str(name), data.iloc[:, i]) for i, name in enumerate(data.columns)], names, unread)
    if hasattr(data, "to_arrow"):  # polars, which converts its own types
        return data.to_arrow()
    if hasattr(data, "__arrow_c_stream__"):
        return pa.table(data)
    return _unmasked(data) if hasattr(data, "__array__") else None


def _by_name(data: Any, names: Collection[str] | None, unread: Collection[str]) -> pa.Table | None:
    """Columns by name, a row, or a list of rows, as a table; None for anything else."""
    # A pandas row counts as one only if its index holds the column names.
    if names is not None and hasattr(data, "iloc") and not hasattr(data, "columns"):
        row = dict(data.items())
        data = row if set(names).intersection(row) else data
    if isinstance(data, Mapping):
        if any(_is_column(value) for value in data.values()):
            return arrow_table(list(data.items()), names, unread)
        data = [data]
    if not (isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data)):
        return None
    found = dict.fromkeys(name for row in data for name in row)
    needed = [name for name in found if name not in unread and (names is None or name in names)]
    return arrow_table(list((dict.fromkeys(found) | columns_of_rows(data, needed, "")).items()), names, unread)


def _is_column(value: Any) -> bool:
    """Whether a value of a mapping is a column of values, not a single cell."""
    return isinstance(value, list | tuple) or (hasattr(value, "__len__") and hasattr(value, "__array__"))


def _stacked(data: Sequence[Any]) -> NDArray[Any] | None:
    """Samples in a list as one array; None if they are not numbers."""
    held = np.stack([_of_tensor(each) if isinstance(each, torch.Tensor) else _unmasked(each) for each in data])
    return held if held.dtype.kind in "biuf" else None


def _unmasked(data: Any) -> NDArray[Any]:
    """The values of an array, with NaN or None for those that are masked: what is under a mask is no measurement."""
    if not np.ma.is_masked(data):
        return np.asarray(data)
    return np.where(np.ma.getmaskarray(data), np.array(np.nan if data.dtype.kind in "biuf" else None), np.asarray(data))


def _of_tensor(tensor: torch.Tensor) -> NDArray[Any]:
    on_host = tensor.detach().cpu().resolve_neg()
    return np.asarray((on_host.float() if on_host.dtype == torch.bfloat16 else on_host).numpy())


def _matrix(table: pa.Table) -> NDArray[np.float64]:
    """A table of numbers as a matrix, ``(N, columns)``."""
    for field in table.schema:
        if is_list(field.type):
            what = f"column {field.name!r} is of type {field.type}"
            raise DataError(what, where=WHERE, remedy=f"give that column alone: frame[{field.name!r}]")
    try:
        columns = [column.cast(pa.float64(), safe=False).to_numpy() for column in table.columns]
    except pa.ArrowException as error:
        raise DataError(f"holds no numbers: {error}", where=WHERE) from None
    return np.column_stack(columns) if columns else np.empty((len(table), 0))


def in_file(
    data: InMemory, folder: Path, columns: Collection[str] | None = None, exclude: Collection[str] = ()
) -> Path:
    """Write data in memory to a file in a folder, to be read like any other data set.

    Args:
        data: see `InMemory`.
        folder: to write to.
        columns: of a table, those that will be read; all if None.
        exclude: of a table, those that will not be read.

    Raises:
        DataError: the type of the data is unknown.
    """
    held = in_memory(data, columns, exclude)
    if isinstance(held, pa.Table):
        path = folder / f"{WHERE}.parquet"
        pa_parquet.write_table(with_category_names(held), path)
    else:
        path = folder / f"{WHERE}.npy"
        np.save(path, held, allow_pickle=False)
    return path
