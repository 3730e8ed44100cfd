"""The file formats of data sets: arrays, IDX, tables, folders of images."""

from __future__ import annotations

import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from driftwatch.data.readers import ArrayDataset, Dataset
from driftwatch.data.schema import Column, ImageSchema, Schema, TableSchema
from driftwatch.data.tables import category_text, is_missing
from driftwatch.errors import DataError

ARRAY_NAMES = ("x", "X", "data", "images", "samples", "arr_0")
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_CATEGORIES = 64


def open_array(path: Path) -> Dataset | None:
    """An array file, or None if it is none."""
    name = path.name.removesuffix(".gz")
    try:
        if path.suffix == ".npy":
            return ArrayDataset(path, np.load(path, mmap_mode="r", allow_pickle=False))
        if path.suffix == ".npz":
            return ArrayDataset(path, _npz_array(path))
        if name.endswith(("-ubyte", ".idx")):
            return IdxDataset(path)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        remedy = "is the file complete?"
        if "Python objects" in str(error) or "Object arrays" in str(error):
            remedy = "save it as an array of numbers: array.astype(float)"
        raise DataError(f"cannot be read: {error}", where=str(path), remedy=remedy) from None
    return None


def _npz_array(path: Path) -> NDArray[Any]:
    with np.load(path, allow_pickle=False) as archive:
        names = [name for name in ARRAY_NAMES if name in archive.files] or archive.files
        if not names:
            raise DataError("holds no array", where=str(path))
        return np.asarray(archive[names[0]])


class IdxDataset(Dataset):
    """The format of MNIST and its kin, gzipped or not; read as a stream."""

    def __init__(self, path: Path) -> None:
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
            return ArrayDataset(self.path, next(self.raw(self.rows, 0))).infer_schema()
        return ImageSchema(channels=1, height=self._shape[1], width=self._shape[2])

    def raw(self, rows: int, start: int) -> Iterator[Any]:
        width = math.prod(self._shape[1:]) * self._dtype.itemsize
        with self._open() as file:
            try:
                file.seek(self._start + start * width)
                for first in range(start, self.rows, rows):
                    count = min(rows, self.rows - first)
                    block = file.read(count * width)
                    if len(block) != count * width:
                        raise DataError(f"ends within row {first + len(block) // width}", where=str(self.path))
                    yield np.frombuffer(block, self._dtype).reshape(count, *self._shape[1:])
            except (OSError, EOFError, zlib.error) as error:
                raise DataError(f"cannot be read: {error}", where=str(self.path)) from None

    def _open(self) -> BinaryIO:
        return gzip.open(self.path) if self.path.suffix == ".gz" else self.path.open("rb")  # type: ignore[return-value]


def _idx_header(file: BinaryIO, path: Path) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    try:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES:
            raise DataError("is no IDX file", where=str(path), remedy="is it the right file, and complete?")
        shape = struct.unpack(f">{head[3]}I", file.read(4 * head[3]))
    except (struct.error, OSError, EOFError, zlib.error) as error:
        raise DataError(f"is no IDX file: {error}", where=str(path)) from None
    return shape, np.dtype(IDX_TYPES[head[2]]), 4 + 4 * head[3]


TABLE_REMEDY = "the first line names the columns, and every row has as many values"


def open_table(path: Path, columns: Sequence[str] | None) -> Dataset:
    """A CSV or Parquet file."""
    return TableDataset(path, columns)


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


class TableDataset(Dataset):
    """Rows of a CSV or Parquet file, in batches."""

    def __init__(self, path: Path, columns: Sequence[str] | None) -> None:
        super().__init__(path)
        self._columns = list(columns) if columns is not None else None
        try:
            known = self._schema()
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot be read: {error}", where=str(path), remedy=TABLE_REMEDY) from None
        missing = [name for name in self._columns or () if name not in known.names]
        if missing:
            raise DataError(
                f"has no column {missing[0]!r}", where=str(path), remedy=f"it has {', '.join(known.names[:20])}"
            )
        if self.rows == 0:
            raise DataError("has no rows", where=str(path), remedy="give at least one row below the header")

    @cached_property
    def rows(self) -> int:
        if self.path.suffix == ".parquet":
            return int(pa_parquet.ParquetFile(self.path).metadata.num_rows)
        return sum(batch.num_rows for batch in self._batches(READ_ROWS))

    def infer_schema(self) -> Schema:
        found: dict[str, set[str]] = {}
        order: list[tuple[str, pa.DataType]] = []
        for batch in self._batches(READ_ROWS):
            order = [(field.name, field.type) for field in batch.schema]
            for name, kind in order:
                if _is_text(kind) and len(found.setdefault(name, set())) <= MAX_CATEGORIES:
                    values = batch.column(name).unique().to_pylist()
                    found[name].update(category_text(value) for value in values if not is_missing(value))
        return TableSchema(columns=tuple(self._column(name, kind, found.get(name, set())) for name, kind in order))

    def _column(self, name: str, kind: pa.DataType, values: set[str]) -> Column:
        where = f"{self.path}: column {name}"
        if _is_text(kind):
            if len(values) > MAX_CATEGORIES:
                raise DataError(
                    f"has more than {MAX_CATEGORIES} different texts",
                    where=where,
                    remedy=_number_hint(values) or "choose columns without it (data.columns)",
                )
            return Column(name=name, kind="category", categories=tuple(sorted(values)))
        if not (
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_null(kind)
            or pa.types.is_decimal(kind)
        ):
            raise DataError(f"is of type {kind}", where=where, remedy="choose columns without it, or make it a number")
        return Column(name=name, kind="numeric")

    def raw(self, rows: int, start: int) -> Iterator[Any]:
        skip = start
        for batch in self._batches(rows):
            if skip >= batch.num_rows:
                skip -= batch.num_rows
                continue
            yield pa.Table.from_batches([batch.slice(skip)])
            skip = 0

    def _schema(self) -> pa.Schema:
        if self.path.suffix == ".parquet":
            return pa_parquet.ParquetFile(self.path).schema_arrow
        with pa_csv.open_csv(self.path) as reader:
            return reader.schema

    def _csv(self) -> pa_csv.CSVStreamingReader:
        convert = pa_csv.ConvertOptions(include_columns=self._columns or [], strings_can_be_null=True)
        return pa_csv.open_csv(self.path, convert_options=convert)

    def _batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        try:
            if self.path.suffix == ".parquet":
                yield from pa_parquet.ParquetFile(self.path).iter_batches(batch_size=rows, columns=self._columns)
                return
            with self._csv() as reader:
                for batch in reader:
                    for start in range(0, batch.num_rows, rows):
                        yield batch.slice(start, rows)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot be read: {error}", where=str(self.path), remedy=TABLE_REMEDY) from None


READ_ROWS = 16_384


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_dictionary(kind)
    )


def open_folder(path: Path) -> Dataset:
    """A folder of images, all of one size."""
    return FolderDataset(path)


class FolderDataset(Dataset):
    """Images in a folder and the folders below it, in the order of their paths."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._files = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
        if not self._files:
            raise DataError(
                "holds no images", where=str(path), remedy=f"give files of {', '.join(sorted(IMAGE_SUFFIXES))}"
            )
        self._mode = "L" if _image(self._files[0]).mode in ("1", "L") else "RGB"
        self._size = _image(self._files[0]).size

    @property
    def rows(self) -> int:
        return len(self._files)

    def infer_schema(self) -> Schema:
        return ImageSchema(channels=1 if self._mode == "L" else 3, height=self._size[1], width=self._size[0])

    def files(self) -> Sequence[Path]:
        return self._files

    def raw(self, rows: int, start: int) -> Iterator[Any]:
        for first in range(start, len(self._files), rows):
            yield np.stack([self._pixels(file) for file in self._files[first : first + rows]])

    def _pixels(self, path: Path) -> NDArray[np.uint8]:
        image = _image(path)
        if image.size != self._size:
            width, height = self._size
            raise DataError(
                f"is {image.size[0]}x{image.size[1]} pixels, the first image {width}x{height}",
                where=str(path),
                remedy="bring all to one size",
            )
        pixels = np.asarray(image.convert(self._mode))
        return pixels[None] if self._mode == "L" else pixels.transpose(2, 0, 1)


def _image(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"is no image: {error}", where=str(path)) from None
