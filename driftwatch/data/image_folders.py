"""Folders of images as data sets, checked before any work begins."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from driftwatch.data.image_arrays import ranged_schema
from driftwatch.data.readers import Dataset
from driftwatch.data.refused_rows import TOLERATED, Indices, Refusals, RefusedRow
from driftwatch.data.schema import ImageSchema, Schema, image_of
from driftwatch.errors import DataError
from driftwatch.locations import Location

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM", "GIF")
"""Formats that are read, whatever a file's name says. Pillow knows more; for EPS, say, it would run another program."""

DEEP_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
"""Pillow's modes for grey images of more than 8 bits, whose values a conversion would clip."""

GREY_MODES = frozenset({"1", "L", "LA", "La"})
COLOUR_MODES = frozenset({"RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "CMYK", "YCbCr", "HSV"})
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
"""What Pillow raises for damaged images."""

REMEDY = "leave it out, or replace it by a good one"


class _Look(NamedTuple):
    """The common properties of images: width and height, and the mode to read them in."""

    size: tuple[int, int]
    mode: str


class FolderDataset(Dataset):
    """Images in a folder and the folders below it, in the order of their paths.

    They are 8-bit grey or RGB, or 16-bit or 32-bit grey with unchanged values. A photograph without colour is often
    stored as grey, so grey and RGB may be mixed, which are then read as RGB.

    Args:
        path: of the folder.
        files: all files in it, in order; those that are not images are ignored.
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

    @property
    def rows(self) -> int:
        return len(self._files)

    def infer_schema(self) -> Schema:
        look = self._survey()
        width, height = look.size
        schema = image_of((3 if look.mode == "RGB" else 1, height, width), str(self.path))
        if look.mode in DEEP_MODES:
            pixels = (_pixels(file, look) for file in self._files)
            return ranged_schema(pixels, (1, height, width), str(self.path))
        return schema

    def files(self) -> Sequence[Location]:
        return self._files

    def file_of(self, row: int) -> str:
        return str(self._files[row])

    def pieces(
        self, schema: Schema | None, rows: int, start: int, refusals: Refusals | None
    ) -> Iterator[tuple[Indices, Any]]:
        look = self._first_readable()
        if isinstance(schema, ImageSchema):
            mode = look.mode if look.mode in DEEP_MODES else "L" if schema.channels == 1 else "RGB"
            look = _Look((schema.width, schema.height), mode)
        held = list[NDArray[Any]]()
        for index in range(start, len(self._files)):
            try:
                held.append(_pixels(self._files[index], look))
            except DataError as error:
                if refusals is None:
                    raise
                if held:
                    yield range(index - len(held), index), np.stack(held)
                held = []
                refusals.refuse(RefusedRow(index, error.where, error.what), error)
                refusals.require_most(index)
            if len(held) == rows:
                yield range(index + 1 - rows, index + 1), np.stack(held)
                held = []
        if held:
            yield range(len(self._files) - len(held), len(self._files)), np.stack(held)

    def _first_readable(self) -> _Look:
        """The look of the first image that can be read.

        Raises:
            DataError: none of the first `TOLERATED` + 1 images can be read.
        """
        damaged = list[DataError]()
        for file in self._files[: TOLERATED + 1]:
            try:
                return _looked_at(file)
            except DataError as error:
                damaged.append(error)
        raise damaged[0]

    def _survey(self) -> _Look:
        """The common look of all images, from their headers, so that all problems are reported before the work.

        Raises:
            DataError: some are not images, or sizes differ.
        """
        bad = list[DataError]()
        sizes: dict[tuple[int, int], list[Location]] = {}
        modes: dict[str, None] = {}
        for file in self._files:
            try:
                look = _looked_at(file)
            except DataError as error:
                bad.append(error)
                continue
            sizes.setdefault(look.size, []).append(file)
            modes[look.mode] = None
        if bad:
            more = f"; {len(bad):,} of {len(self._files):,} are like this" if len(bad) > 1 else ""
            raise DataError(bad[0].what + more, where=bad[0].where, remedy=bad[0].remedy)
        if len(sizes) > 1:
            common, *_, rare = sorted(sizes, key=lambda size: -len(sizes[size]))
            raise DataError(
                f"holds images of {len(sizes):,} sizes: {len(sizes[common]):,} of {len(self._files):,} are "
                f"{_shown(common)}, {sizes[rare][0].name} is {_shown(rare)}",
                where=str(self.path),
                remedy="resize all to one size, as the model gets them",
            )
        (size,), first = sizes, next(iter(modes))
        return _Look(size, "RGB" if first == "L" and "RGB" in modes else first)


def is_image(path: Location) -> bool:
    """Whether a file has the name of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def _read_as(image: Image.Image, path: Location) -> str:
    """The mode that preserves an image's values."""
    if image.mode in GREY_MODES:
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


def _shown(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} pixels"


def _pixels(path: Location, look: _Look) -> NDArray[Any]:
    """The pixels of an image, ``(C, H, W)``.

    Raises:
        DataError: it cannot be read, or does not have this look.
    """
    with _opened(path) as image:
        mode = _read_as(image, path)
        # Checked before decompression: half a megabyte may declare 170 million pixels.
        _require(look, mode, image, path)
        image.load()
    pixels = np.asarray(image if mode in DEEP_MODES else image.convert(look.mode))
    return pixels.transpose(2, 0, 1) if look.mode == "RGB" else pixels[None]


def _require(look: _Look, mode: str, image: Image.Image, path: Location) -> None:
    if mode != look.mode and not DEEP_MODES.isdisjoint((mode, look.mode)):
        raise DataError(
            f"is an image of mode {image.mode}, the first image of {look.mode}",
            where=str(path),
            remedy="convert all to one mode, or give an array (.npy), which keeps the values",
        )
    if (mode, look.mode) == ("RGB", "L"):
        raise DataError(
            "is in colour, and the others or the reference are grey",
            where=str(path),
            remedy="convert it to grey, as the model gets it: image.convert('L')",
        )
    if image.size != look.size:
        raise DataError(
            f"is of {_shown(image.size)}, not of {_shown(look.size)}",
            where=str(path),
            remedy="resize all to one size, as the model gets them",
        )


def _looked_at(path: Location) -> _Look:
    """The look of an image, from its header."""
    with _opened(path) as image:
        return _Look(image.size, _read_as(image, path))


@contextmanager
def _opened(path: Location) -> Iterator[Image.Image]:
    try:
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            yield image
    except UnidentifiedImageError:
        what = "is no image, whatever its name says, or its beginning is damaged"
        raise DataError(what, where=str(path), remedy=REMEDY) from None
    except UNREADABLE as error:
        raise DataError(f"cannot be read: {error}", where=str(path), remedy=REMEDY) from None
