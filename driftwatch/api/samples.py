"""Whatever holds data in Python, as samples of a schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import torch
from numpy.typing import NDArray

from driftwatch.data.readers import CHUNK_ROWS, open_dataset
from driftwatch.data.refused_rows import data_error
from driftwatch.data.schema import Samples, Schema, as_floats
from driftwatch.data.tables import columns_of_rows
from driftwatch.errors import DataError, MessageError
from driftwatch.locations import RemotePath


class SupportsArray(Protocol):
    """What NumPy makes an array of: arrays themselves, torch tensors and many others."""

    def __array__(self, *args: Any, **kwargs: Any) -> NDArray[Any]:
        """The array."""


class SupportsArrow(Protocol):
    """What Arrow makes a table of: its own tables, pandas and polars data frames and many others."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The table, as Arrow's C interface has it."""


InMemory = (
    SupportsArray
    | SupportsArrow
    | Mapping[str, Any]
    | Sequence[Mapping[str, Any]]
    | Sequence[SupportsArray]
    | Sequence[Sequence[float]]
)
"""An array or tensor ``(N, ...)``, a list of them or of lists of numbers, a data frame or Arrow table, columns by
name, or rows by their columns' names, one or several."""

Data = str | Path | RemotePath | InMemory
"""Likewise, or the path or URL of a data set."""

WHERE = "data"


def samples(data: Data, schema: Schema) -> Iterator[Samples]:
    """The samples in order, ``(n, *schema.shape)`` at a time.

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
        held = held[None]  # one sample, which may be longer than a piece
    for start in range(0, max(1, len(held)), CHUNK_ROWS):
        piece = held.slice(start, CHUNK_ROWS) if isinstance(held, pa.Table) else held[start : start + CHUNK_ROWS]
        try:
            yield as_floats(schema.coerce(piece))
        except MessageError as error:
            raise data_error(error, WHERE, start + (error.row or 0), f"a {schema.describe()}") from None


def in_memory(data: InMemory, names: Sequence[str] | None = None) -> Any:
    """Data of any library as an array or as an Arrow table; copied only where it must be.

    Args:
        data: see `InMemory`.
        names: of rows, the columns that are needed; all that any row has if None.

    Raises:
        DataError: it is of no kind that is known, or a single value, its columns have no type of Arrow's, or a row
            lacks one.
    """
    try:
        held = _converted(data, names)
    except MessageError as error:
        raise DataError(error.what, where=WHERE, remedy=error.remedy) from None
    except (pa.ArrowException, TypeError, ValueError) as error:
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


def _converted(data: Any, names: Sequence[str] | None) -> Any:
    if isinstance(data, torch.Tensor):
        return _of_tensor(data)
    if (by_name := _by_name(data, names)) is not None:
        return by_name
    if isinstance(data, list | tuple) and data:
        data = _stacked(data)
    if hasattr(data, "to_list"):  # a column of pandas or polars, of numbers or of lists of them
        data = np.asarray(data.to_list())
    if hasattr(data, "iloc"):  # pandas: its index is no column
        return pa.Table.from_pandas(data, preserve_index=False)
    if hasattr(data, "to_arrow"):  # polars: without types of its own
        return data.to_arrow()
    if hasattr(data, "__arrow_c_stream__"):
        return pa.table(data)
    return np.asarray(data) if hasattr(data, "__array__") else None


def _by_name(data: Any, names: Sequence[str] | None) -> pa.Table | None:
    """Columns by name, a row or a list of rows as a table; none if it is nothing of these."""
    wanted = set(names or ())
    if names is not None and hasattr(data, "iloc") and not hasattr(data, "columns"):  # pandas: a row, if of such names
        row = dict(data.items())
        data = row if wanted.intersection(row) else data
    if isinstance(data, Mapping):
        if any(_is_column(value) for value in data.values()):
            return pa.table({name: values for name, values in data.items() if names is None or name in wanted})
        data = [data]
    if not (isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data)):
        return None
    found = dict.fromkeys(name for row in data for name in row)
    return pa.table(columns_of_rows(data, [name for name in found if names is None or name in wanted], ""))


def _is_column(value: Any) -> bool:
    """Whether a value of a mapping is a column of values, and no value of one row."""
    return isinstance(value, list | tuple) or (hasattr(value, "__len__") and hasattr(value, "__array__"))


def _stacked(data: Sequence[Any]) -> NDArray[Any] | None:
    """Samples in a list as one array; none if they are no numbers."""
    held = np.stack([_of_tensor(each) if isinstance(each, torch.Tensor) else np.asarray(each) for each in data])
    return held if held.dtype.kind in "biuf" else None


def _of_tensor(tensor: torch.Tensor) -> NDArray[Any]:
    on_host = tensor.detach().cpu()
    return np.asarray((on_host.float() if on_host.dtype == torch.bfloat16 else on_host).numpy())


def _matrix(table: pa.Table) -> NDArray[np.float64]:
    """A table of numbers alone, ``(N, columns)``."""
    try:
        columns = [column.cast(pa.float64(), safe=False).to_numpy() for column in table.columns]
    except pa.ArrowException as error:
        raise DataError(f"holds no numbers: {error}", where=WHERE) from None
    return np.column_stack(columns) if columns else np.empty((len(table), 0))


def in_file(data: InMemory, folder: Path) -> Path:
    """Data in memory as a file in a folder, to be read as any other.

    Raises:
        DataError: it is of no kind that is known.
    """
    held = in_memory(data)
    if isinstance(held, pa.Table):
        path = folder / f"{WHERE}.parquet"
        pa_parquet.write_table(held, path)
    else:
        path = folder / f"{WHERE}.npy"
        np.save(path, held, allow_pickle=False)
    return path
