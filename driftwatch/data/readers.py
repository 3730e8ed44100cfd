"""Data sets in files, read in order and in bounded memory."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.image_arrays import image_schema
from driftwatch.data.refused_rows import Indices, Refusals, data_error
from driftwatch.data.schema import Samples, Schema, as_floats, vector_of
from driftwatch.errors import DataError, MessageError
from driftwatch.locations import Location, files_below, locate, matching_files, path_below

CHUNK_ROWS = 2048
BUNDLE_FILES = frozenset({"manifest.json", "flow.safetensors"})
"""Files that identify a folder as a bundle."""

READ_BYTES = 1 << 20
SUFFIXES = ".npz, .npy, .parquet, .csv (also .gz, .bz2, .zst), IDX (-ubyte, also .gz) or a folder of images or tables"


class Dataset(ABC):
    """Samples in a file or folder.

    Args:
        path: of the file or folder, or its URL.
    """

    def __init__(self, path: Location) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """A short name to show to users."""
        return self.path.name.split(".")[0] or self.path.name

    @property
    @abstractmethod
    def rows(self) -> int:
        """The number of samples."""

    @abstractmethod
    def infer_schema(self) -> Schema:
        """Infer the schema of the data.

        Raises:
            DataError: no schema fits it.
        """

    @abstractmethod
    def pieces(
        self, schema: Schema | None, rows: int, start: int, refusals: Refusals | None
    ) -> Iterator[tuple[Indices, Any]]:
        """The data from row `start` on, in pieces of at most `rows` rows, with their indices.

        Rows that cannot be read from their file at all are added to `refusals`, or raise an error if it is None. If a
        `schema` is given, it may decide how rows are read; otherwise they are read as stored.
        """

    def files(self) -> Sequence[Location]:
        """The files that the data is read from."""
        return (self.path,)

    def file_of(self, row: int) -> str:  # noqa: ARG002
        """The file that contains a row, for messages; empty if there is only one."""
        return ""

    def chunks(
        self, schema: Schema, rows: int = CHUNK_ROWS, start: int = 0, refusals: Refusals | None = None
    ) -> Iterator[Samples]:
        """The samples in order, in chunks ``(rows, *schema.shape)``; the last chunk may be shorter.

        Args:
            schema: of one sample.
            rows: per chunk.
            start: the first row.
            refusals: collects rows that do not fit the schema; if None, the first one raises an error.

        Raises:
            DataError: the data does not fit the schema.
        """

        def coerce(piece: Any) -> Samples:
            return as_floats(schema.coerce(piece))

        held = list[Samples]()
        for indices, piece in self.pieces(schema, rows, start, refusals):
            try:
                held.append(coerce(piece))
                if refusals is not None:
                    refusals.read(len(piece))
            except MessageError as error:
                row = int(indices[error.row or 0])
                fault = data_error(error, str(self.path), row, f"a {schema.describe()}", self.file_of(row))
                if refusals is None:
                    raise fault from None
                held += refusals.sift(piece, coerce, indices, fault, self.file_of)
            if refusals is not None:
                refusals.require_most(int(indices[-1]))
            # Tables come in blocks whose length depends on their file.
            while sum(map(len, held)) >= rows:
                joined = np.concatenate(held) if len(held) > 1 else held[0]
                yield joined[:rows]
                held = [joined[rows:]] if len(joined) > rows else []
        if held:
            yield np.concatenate(held)
        if refusals is not None:
            refusals.conclude()

    def spread(self, schema: Schema, most: int) -> tuple[NDArray[np.int64], Samples]:
        """At most so many samples, drawn evenly from all of the data, in its order; and the indices of their rows.

        Raises:
            DataError: the data does not fit the schema.
        """
        chosen = np.arange(self.rows)
        if most < self.rows:
            # At random: at equal distances, a rhythm of the data could look constant.
            chosen = np.sort(np.random.default_rng(0).choice(self.rows, most, replace=False, shuffle=False))
        found, row = list[Samples](), 0
        for chunk in self.chunks(schema):
            first, last = np.searchsorted(chosen, (row, row + len(chunk)))
            found.append(chunk[chosen[first:last] - row])
            row += len(chunk)
        return chosen, np.concatenate(found)

    def fingerprint(self) -> str:
        """SHA-256 of the contents, in hexadecimal."""
        digest = hashlib.sha256()
        for path in self.files():
            digest.update(path.name.encode())
            with path.open("rb") as file:
                while block := file.read(READ_BYTES):
                    digest.update(block)
        return digest.hexdigest()


class ArrayDataset(Dataset):
    """An array whose first axis counts samples.

    Args:
        path: of its file.
        array: may be a memory map.
    """

    def __init__(self, path: Location, array: NDArray[Any]) -> None:
        super().__init__(path)
        if array.dtype.kind not in "biuf":
            raise DataError(f"holds {array.dtype} values", where=str(path), remedy="expected numbers")
        if array.ndim < 2:
            raise DataError(
                f"holds an array of shape {array.shape}: labels or single numbers, no samples",
                where=str(path),
                remedy="expected vectors (N, D) or images (N, H, W), (N, C, H, W), (N, H, W, C)",
            )
        if array.size == 0:
            raise DataError("is empty", where=str(path))
        self._array = array

    @property
    def rows(self) -> int:
        return len(self._array)

    def infer_schema(self) -> Schema:
        array = self._array
        if array.ndim == 2:
            return vector_of(array.shape[1], str(self.path), integer=array.dtype.kind in "biu")
        return image_schema(array, str(self.path))

    def pieces(
        self,
        schema: Schema | None,  # noqa: ARG002
        rows: int,
        start: int,
        refusals: Refusals | None,  # noqa: ARG002
    ) -> Iterator[tuple[Indices, Any]]:
        for first in range(start, len(self._array), rows):
            piece = np.asarray(self._array[first : first + rows])
            yield range(first, first + len(piece)), piece


def open_dataset(
    path: str | Location,
    *,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categories: Sequence[str] = (),
) -> Dataset:
    """Open a data set by its path or URL.

    Args:
        path: ``.npz``, ``.npy``, ``.parquet``, ``.csv`` (also ``.csv.gz``, ``.csv.bz2``, ``.csv.zst``), IDX
            (``-ubyte``, also ``.gz``) or a folder: of images, or of Parquet or CSV files that together are one table.
            If a folder holds several tables, ``*`` selects one: ``data/2026-*.parquet``. Bundles and hidden files below
            a folder are ignored.
        columns: of a table, to read in this order; all if None.
        exclude: of a table, columns to leave out.
        categories: of a table, numeric columns whose numbers are names, for inferring the schema.

    Raises:
        DataError: the file is missing, empty, damaged, or of unknown kind.
        UsageError: it is a URL, and no library to read it is installed.
    """
    from driftwatch.data.files import open_array
    from driftwatch.data.image_folders import FolderDataset, is_image
    from driftwatch.data.table_files import TableDataset
    from driftwatch.data.table_parts import parts_of_table

    path = locate(path)
    files = _files(path)
    tables = parts_of_table(path, files)
    # A folder of images may also contain a table of labels.
    if tables and not any(is_image(file) for file in files):
        return TableDataset(path, tables, columns, exclude, categories)
    chosen = {"columns": columns is not None, "exclude": bool(exclude), "categories": bool(categories)}
    if setting := next((key for key, given in chosen.items() if given), ""):
        raise DataError("has no columns to choose", where=str(path), remedy=f"leave data.{setting} out")
    if files != (path,):
        return FolderDataset(path, files)
    array = open_array(path)
    if array is None:
        raise DataError(
            f"is of no known kind: {path.suffix or path.name!r}", where=str(path), remedy=f"give {SUFFIXES}"
        )
    return array


def _files(path: Location) -> Sequence[Location]:
    """The files that a path stands for: those below a folder, those matching a pattern, or the path itself.

    Raises:
        DataError: there is no such file or folder, or it cannot be reached.
    """
    try:
        if path.exists():
            return _data_below(path, files_below(path)) if path.is_dir() else (path,)
        files = matching_files(path) if "*" in str(path) else ()
    except OSError as error:
        raise DataError(f"cannot be read: {error}", where=str(path)) from None
    if not files:
        remedy = "check the path" if isinstance(path, Path) else "check the URL, and whether you may read it"
        raise DataError("no such file or folder", where=str(path), remedy=remedy)
    return files


def _data_below(folder: Location, files: Sequence[Location]) -> Sequence[Location]:
    """The files below a folder, except hidden files and those of bundles, which contain an image.

    Raises:
        DataError: the folder is a bundle.
    """
    named = [path_below(folder, file) for file in files]
    names: dict[str, set[str]] = {}
    for name in named:
        place, _, file_name = name.rpartition("/")
        names.setdefault(place, set()).add(file_name)
    bundles = {place for place, held in names.items() if held >= BUNDLE_FILES}
    if "" in bundles:
        raise DataError("is a bundle, no data", where=str(folder), remedy="give the samples")
    return [
        file
        for file, name in zip(files, named, strict=True)
        if name.rpartition("/")[0] not in bundles and not f"/{name}".count("/.")
    ]
