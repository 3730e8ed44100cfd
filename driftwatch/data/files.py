"""File formats of arrays: npy, npz, IDX."""

from __future__ import annotations

import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from driftwatch.data.array_bodies import NPY_FAULTS
from driftwatch.data.readers import ArrayDataset, Dataset
from driftwatch.data.refused_rows import Indices, Refusals
from driftwatch.data.schema import Schema, image_of
from driftwatch.errors import DataError
from driftwatch.locations import Location, local_file

ARRAY_NAMES = ("x", "X", "data", "images", "samples", "arr_0")
SHOWN = 8
"""Names of arrays that a message lists at most."""

NOT_KEPT = "arrays in archives are loaded as a whole: save it as .npy, of which only the needed part is loaded"
FAULTS = (*NPY_FAULTS, OSError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error)
"""What NumPy and zipfile raise for files that are damaged or of another kind."""

IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def open_array(path: Location) -> Dataset | None:
    """Open an array file; None if the path is not one."""
    name = path.name.removesuffix(".gz")
    try:
        if path.suffix.lower() in (".npy", ".npz"):
            with local_file(path) as file:  # a memory map remains valid after its file is deleted
                loaded = np.load(file, mmap_mode="r", allow_pickle=False)
                return ArrayDataset(path, loaded) if isinstance(loaded, np.ndarray) else _chosen(loaded, path)
        if name.endswith(("-ubyte", ".idx")):
            return IdxDataset(path)
    except FAULTS as error:
        what, remedy = f"cannot be read: {error}", "is the file complete?"
        if isinstance(error, MemoryError):
            remedy = NOT_KEPT
        elif any(word in str(error) for word in ("pickle", "Python objects")):
            what, remedy = "holds Python objects, or no array at all", "save an array of numbers by numpy.save"
        raise DataError(what, where=str(path), remedy=remedy) from None
    return None


def _chosen(loaded: np.lib.npyio.NpzFile, path: Location) -> ArrayDataset:
    """The array of samples in an archive."""
    with loaded as archive:
        held = archive.files
        names = [name for name in ARRAY_NAMES if name in held] or held
        if not names:
            raise DataError("holds no array", where=str(path))
        array = np.asarray(archive[names[0]])
    try:
        return ArrayDataset(path, array)
    except DataError as error:
        if len(held) == 1:
            raise
        remedy = f"name that of the samples {ARRAY_NAMES[0]!r}: it has {', '.join(held[:SHOWN])}"
        raise DataError(error.what, where=f"{path}, array {names[0]}", remedy=remedy) from None


class IdxDataset(Dataset):
    """A data set in the format of MNIST, gzipped or not; read as a stream."""

    def __init__(self, path: Location) -> None:
        super().__init__(path)
        with self._open() as file:
            self._shape, self._dtype, self._start = _idx_header(file, path)
        if len(self._shape) < 2:
            raise DataError(
                f"holds an array of shape {self._shape}: labels, no samples", where=str(path), remedy="give the images"
            )
        if math.prod(self._shape) == 0:
            raise DataError("is empty", where=str(path))

    @property
    def name(self) -> str:
        return self.path.name.removesuffix(".gz").removesuffix("-ubyte").split(".")[0]

    @property
    def rows(self) -> int:
        return self._shape[0]

    def infer_schema(self) -> Schema:
        if self._dtype != np.uint8 or len(self._shape) != 3:
            return ArrayDataset(self.path, next(self.pieces(None, self.rows, 0, None))[1]).infer_schema()
        return image_of((1, *self._shape[1:]), str(self.path))

    def pieces(
        self,
        schema: Schema | None,  # noqa: ARG002
        rows: int,
        start: int,
        refusals: Refusals | None,  # noqa: ARG002
    ) -> Iterator[tuple[Indices, Any]]:
        width = math.prod(self._shape[1:]) * self._dtype.itemsize
        with self._open() as file:
            try:
                file.seek(self._start + start * width)
                for first in range(start, self.rows, rows):
                    count = min(rows, self.rows - first)
                    block = file.read(count * width)
                    if len(block) != count * width:
                        raise DataError(f"ends within row {first + len(block) // width}", where=str(self.path))
                    yield (
                        range(first, first + count),
                        np.frombuffer(block, self._dtype).reshape(count, *self._shape[1:]),
                    )
            except (OSError, EOFError, zlib.error) as error:
                raise DataError(f"cannot be read: {error}", where=str(self.path)) from None
            except (MemoryError, OverflowError):  # sizes of a damaged header
                what = f"declares samples of {width:,} bytes each, which do not fit into memory"
                raise DataError(what, where=str(self.path), remedy="is the file damaged?") from None

    def _open(self) -> BinaryIO:
        if self.path.suffix != ".gz":
            return self.path.open("rb")
        return cast("BinaryIO", gzip.open(self.path if isinstance(self.path, Path) else self.path.open()))


def _idx_header(file: BinaryIO, path: Location) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    try:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES:
            raise DataError("is no IDX file", where=str(path), remedy="is it the right file, and complete?")
        shape = struct.unpack(f">{head[3]}I", file.read(4 * head[3]))
    except (struct.error, OSError, EOFError, zlib.error) as error:
        raise DataError(f"is no IDX file: {error}", where=str(path)) from None
    return shape, np.dtype(IDX_TYPES[head[2]]), 4 + 4 * head[3]
