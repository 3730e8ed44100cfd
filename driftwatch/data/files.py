"""The file formats of arrays: npy, npz, IDX, and folders of images."""

from __future__ import annotations

import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from driftwatch.data.readers import ArrayDataset, Dataset, ranged_schema
from driftwatch.data.schema import ImageSchema, Schema
from driftwatch.errors import DataError
from driftwatch.locations import Location, local_file

ARRAY_NAMES = ("x", "X", "data", "images", "samples", "arr_0")
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})
DEEP_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
"""Pillow's names for grey of more than 8 bits: to convert these clips them."""

COLOUR_MODES = frozenset({"RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "LA", "CMYK", "YCbCr", "HSV"})
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def open_array(path: Location) -> Dataset | None:
    """An array file, or None if it is none."""
    name = path.name.removesuffix(".gz")
    try:
        if path.suffix == ".npy":
            with local_file(path) as file:  # a map outlives its file's name
                return ArrayDataset(path, np.load(file, mmap_mode="r", allow_pickle=False))
        if path.suffix == ".npz":
            with local_file(path) as file:
                return ArrayDataset(path, _npz_array(file, path))
        if name.endswith(("-ubyte", ".idx")):
            return IdxDataset(path)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        remedy = "is the file complete?"
        if "Python objects" in str(error) or "Object arrays" in str(error):
            remedy = "save it as an array of numbers: array.astype(float)"
        raise DataError(f"cannot be read: {error}", where=str(path), remedy=remedy) from None
    return None


def _npz_array(file: Path, path: Location) -> NDArray[Any]:
    with np.load(file, allow_pickle=False) as archive:
        names = [name for name in ARRAY_NAMES if name in archive.files] or archive.files
        if not names:
            raise DataError("holds no array", where=str(path))
        return np.asarray(archive[names[0]])


class IdxDataset(Dataset):
    """The format of MNIST and its kin, gzipped or not; read as a stream."""

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


class FolderDataset(Dataset):
    """Images in a folder and the folders below it, in the order of their paths.

    All are as the first is: 8-bit grey, RGB, or grey of 16 or 32 bits, whose values stay as they are.

    Args:
        path: of the folder.
        files: all that are in it, in order; those that are no images are left out.
    """

    def __init__(self, path: Location, files: Sequence[Location]) -> None:
        super().__init__(path)
        self._files = [file for file in files if is_image(file)]
        if not self._files:
            raise DataError(
                "holds no images and no tables",
                where=str(path),
                remedy=f"give files of {', '.join(sorted(IMAGE_SUFFIXES))}, or .parquet or .csv",
            )
        first = _image(self._files[0])
        self._mode = _read_as(first, self._files[0])
        self._size = first.size

    @property
    def rows(self) -> int:
        return len(self._files)

    def infer_schema(self) -> Schema:
        width, height = self._size
        if self._mode in DEEP_MODES:
            return ranged_schema(map(self._pixels, self._files), (1, height, width), str(self.path))
        return ImageSchema(channels=1 if self._mode == "L" else 3, height=height, width=width)

    def files(self) -> Sequence[Location]:
        return self._files

    def raw(self, rows: int, start: int) -> Iterator[Any]:
        for first in range(start, len(self._files), rows):
            yield np.stack([self._pixels(file) for file in self._files[first : first + rows]])

    def _pixels(self, path: Location) -> NDArray[Any]:
        image = _image(path)
        mode = _read_as(image, path)
        if mode != self._mode and not DEEP_MODES.isdisjoint((mode, self._mode)):
            raise DataError(
                f"is an image of mode {image.mode}, the first image of {self._mode}",
                where=str(path),
                remedy="bring all to one mode, or give an array (.npy), which keeps the values",
            )
        if image.size != self._size:
            width, height = self._size
            raise DataError(
                f"is {image.size[0]}x{image.size[1]} pixels, the first image {width}x{height}",
                where=str(path),
                remedy="bring all to one size",
            )
        pixels = np.asarray(image if mode in DEEP_MODES else image.convert(self._mode))
        return pixels.transpose(2, 0, 1) if self._mode == "RGB" else pixels[None]


def is_image(path: Location) -> bool:
    """Whether a file's name is that of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def _read_as(image: Image.Image, path: Location) -> str:
    """The mode in which an image keeps its values."""
    if image.mode in ("1", "L"):
        return "L"
    if image.mode in DEEP_MODES:
        return image.mode
    if image.mode in COLOUR_MODES:
        return "RGB"
    raise DataError(
        f"is an image of mode {image.mode}",
        where=str(path),
        remedy="save it as 8-bit grey or RGB, or give an array (.npy), which keeps the values",
    )


def _image(path: Location) -> Image.Image:
    try:
        with path.open("rb") as file, Image.open(file) as image:
            image.load()
            return image
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"is no image: {error}", where=str(path)) from None
