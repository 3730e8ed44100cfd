"""Schemas of arrays of images: the position of the channels, and the range of the values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.schema import COLOURS, ImageSchema, image_of
from driftwatch.errors import DataError

LOOKED_AT = 2048
"""Images per piece when the range is determined."""

WIDEST = 1e30
"""Largest range of pixels: flows compute with them in float32, and square them."""


def image_schema(array: NDArray[Any], where: str) -> ImageSchema:
    """The schema of images ``(N, H, W)``, ``(N, C, H, W)`` or ``(N, H, W, C)``, with their range of values.

    Raises:
        DataError: the array holds no images.
    """
    if array.ndim == 3:
        c, h, w = 1, *array.shape[1:]
    elif array.ndim == 4 and _channels_last(*array.shape[1:]):
        h, w, c = array.shape[1:]
    elif array.ndim == 4:
        c, h, w = array.shape[1:]
    else:
        raise DataError(f"holds an array of shape {array.shape}", where=where, remedy="expected images or vectors")
    if array.dtype == np.uint8:
        return image_of((c, h, w), where)
    if 1 in (h, w):
        raise DataError(
            f"holds an array of shape {array.shape}: vectors with an axis too many, or images of one line",
            where=where,
            remedy="give vectors (N, D): array.reshape(len(array), -1)",
        )
    pieces = (array[first : first + LOOKED_AT] for first in range(0, len(array), LOOKED_AT))
    return ranged_schema(pieces, (c, h, w), where)


def _channels_last(first: int, middle: int, last: int) -> bool:
    """Whether ``(first, middle, last)`` is ``(H, W, C)``: by 1, 3 or 4 channels, or any number if images are square."""
    if COLOURS & {first, last}:
        return first not in COLOURS
    return first == middle != last


def ranged_schema(pieces: Iterable[NDArray[Any]], shape: tuple[int, int, int], where: str) -> ImageSchema:
    """The schema of images of which `pieces` holds all pixels; integers from 0 to 255 of any type count as bytes.

    Args:
        pieces: arrays of any shape.
        shape: of one image, ``(C, H, W)``.
        where: for error messages.

    Raises:
        DataError: a pixel is not finite, all pixels are equal, or their range is too wide.
    """
    low, high, whole = np.inf, -np.inf, True
    for piece in pieces:
        least, most = float(piece.min()), float(piece.max())
        if not np.isfinite(least) or not np.isfinite(most):
            raise DataError("holds NaN or infinite values", where=where, remedy="every pixel must be finite")
        low, high = min(low, least), max(high, most)
        whole = whole and (piece.dtype.kind in "biu" or bool((piece == np.rint(piece)).all()))
    if high - low > WIDEST:
        raise DataError(f"pixels lie in [{low:g}, {high:g}]", where=where, remedy="scale them, for example to 0 to 1")
    if low == high:
        raise DataError(f"every pixel is {low:g}", where=where, remedy="there is nothing to learn from it")
    if low >= 0 and high <= 1:
        return image_of(shape, where, dtype="float32", low=0.0, high=1.0)
    if low >= 0 and high <= 255 and whole:
        return image_of(shape, where)
    return image_of(shape, where, dtype="float32", low=low, high=high)
