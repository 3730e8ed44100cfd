"""Folders of images as data sets: what is wrong with them is told before the work."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from driftwatch.data.readers import CHUNK_ROWS, Dataset, ranged_schema
from driftwatch.data.refused_rows import TOLERATED, Refusals, RefusedRow
from driftwatch.data.schema import ImageSchema, Samples, Schema, image_of
from driftwatch.errors import DataError
from driftwatch.locations import Location

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})
DEEP_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
"""Pillow's names for grey of more than 8 bits: to convert these clips them."""

COLOUR_MODES = frozenset({"RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "LA", "CMYK", "YCbCr", "HSV"})
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises where images are damaged."""

REMEDY = "leave it out, or put a good one in its place"


class FolderDataset(Dataset):
    """Images in a folder and the folders below it, in the order of their paths.

    They are 8-bit grey or RGB, or grey of 16 or 32 bits, whose values stay as they are. A photograph without colour is
    stored as grey often, so grey and RGB may be mixed, and are RGB then.

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
        self._size, self._mode = (0, 0), "L"
        """What all are to be: those of what reads them, or else of the first that can be read."""

    @property
    def rows(self) -> int:
        return len(self._files)

    def infer_schema(self) -> Schema:
        self._survey()
        width, height = self._size
        if self._mode in DEEP_MODES:
            return ranged_schema(map(self._pixels, self._files), (1, height, width), str(self.path))
        return image_of((1 if self._mode == "L" else 3, height, width), str(self.path))

    def files(self) -> Sequence[Location]:
        return self._files

    def chunks(
        self, schema: Schema, rows: int = CHUNK_ROWS, start: int = 0, refusals: Refusals | None = None
    ) -> Iterator[Samples]:
        self._size, self._mode = self._first_look()
        if isinstance(schema, ImageSchema):
            self._size = schema.width, schema.height
            if self._mode not in DEEP_MODES:
                self._mode = "L" if schema.channels == 1 else "RGB"
        return super().chunks(schema, rows, start, refusals)

    def pieces(self, rows: int, start: int, refusals: Refusals | None) -> Iterator[tuple[int, Any]]:
        held = list[NDArray[Any]]()
        for index in range(start, len(self._files)):
            try:
                held.append(self._pixels(self._files[index]))
            except DataError as error:
                if refusals is None:
                    raise
                if held:
                    yield index - len(held), np.stack(held)
                held = []
                refusals.refuse(RefusedRow(index, error.where, error.what), error)
            if len(held) == rows:
                yield index + 1 - len(held), np.stack(held)
                held = []
        if held:
            yield len(self._files) - len(held), np.stack(held)

    def _first_look(self) -> tuple[tuple[int, int], str]:
        """The size and mode of the first image that can be read.

        Raises:
            DataError: none can be, of more than may be refused.
        """
        damaged = list[DataError]()
        for file in self._files[: TOLERATED + 1]:
            try:
                return _looked_at(file)
            except DataError as error:
                damaged.append(error)
        raise damaged[0]

    def _survey(self) -> None:
        """Looks at the heads of all images, so that what is wrong with many is told at once, and before the work.

        Raises:
            DataError: some are no images, or not of one size.
        """
        bad = list[DataError]()
        sizes: dict[tuple[int, int], list[Location]] = {}
        for file in self._files:
            try:
                size, mode = _looked_at(file)
            except DataError as error:
                bad.append(error)
                continue
            if not sizes or (mode == "RGB" and self._mode == "L"):
                self._size, self._mode = size, mode
            sizes.setdefault(size, []).append(file)
        if bad:
            more = f"; {len(bad):,} of {len(self._files):,} are such" if len(bad) > 1 else ""
            raise DataError(bad[0].what + more, where=bad[0].where, remedy=bad[0].remedy)
        if len(sizes) > 1:
            common, *_, rare = sorted(sizes, key=lambda size: -len(sizes[size]))
            raise DataError(
                f"holds images of {len(sizes):,} sizes: {len(sizes[common]):,} of {len(self._files):,} are "
                f"{_told(common)}, {sizes[rare][0].name} is {_told(rare)}",
                where=str(self.path),
                remedy="bring all to one size, as the model gets them",
            )

    def _pixels(self, path: Location) -> NDArray[Any]:
        image = _image(path)
        mode = _read_as(image, path)
        if mode != self._mode and not DEEP_MODES.isdisjoint((mode, self._mode)):
            raise DataError(
                f"is an image of mode {image.mode}, the first image of {self._mode}",
                where=str(path),
                remedy="bring all to one mode, or give an array (.npy), which keeps the values",
            )
        if (mode, self._mode) == ("RGB", "L"):
            raise DataError(
                "is in colour, and the others or the reference are grey",
                where=str(path),
                remedy="make it grey, as the model gets it: image.convert('L')",
            )
        if image.size != self._size:
            raise DataError(
                f"is of {_told(image.size)}, not of {_told(self._size)}",
                where=str(path),
                remedy="bring all to one size, as the model gets them",
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


def _told(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} pixels"


def _looked_at(path: Location) -> tuple[tuple[int, int], str]:
    """The size of an image, and the mode that it is read in, by its head alone."""
    with _opened(path) as image:
        return image.size, _read_as(image, path)


def _image(path: Location) -> Image.Image:
    with _opened(path) as image:
        image.load()
        return image


@contextmanager
def _opened(path: Location) -> Iterator[Image.Image]:
    try:
        with path.open("rb") as file, Image.open(file) as image:
            yield image
    except UnidentifiedImageError:
        what = "is no image, whatever its name says, or damaged from its beginning"
        raise DataError(what, where=str(path), remedy=REMEDY) from None
    except UNREADABLE as error:
        raise DataError(f"cannot be read: {error}", where=str(path), remedy=REMEDY) from None
