"""Packs numbers on the summaries' grid: chunks of integers, each as wide as its largest needs.

The widths of all chunks come first, a byte each. Then, width by width, come the numbers of the chunks with that width:
the lowest bytes of all of them, then the next, and so on. A chunk with a number that is off the grid or very large is
stored in double precision: nothing is ever lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.errors import MessageError
from driftwatch.stats.summary import GRID
from driftwatch.stats.sums import MOST, Sums, keep

CHUNK = 32
"""Numbers that share a width. Smaller chunks fit the numbers more closely, but need more width bytes."""

DOUBLE = 8
"""Width that marks double precision; integers are narrower."""

AT_ONCE = 64
"""Sums that are packed together; larger groups are no faster."""

_LIMITS = 2.0 ** (8 * np.arange(1, DOUBLE) - 1)
"""Integers below the first limit fit one signed byte, those below the second two, and so on."""


def pack(sums: Sums) -> bytes:
    """Pack sums ``(V,)`` into bytes.

    >>> len(pack(keep(np.arange(-8.0, 24.0))))     # one width, and 3 bytes a number
    97
    """
    chunks = -(-len(sums) // CHUNK)
    units = np.zeros((chunks, CHUNK))
    if sums.bound is None:
        doubles = np.zeros((chunks, CHUNK))
        doubles.ravel()[: len(sums)] = sums.values
        with np.errstate(over="ignore"):  # a number that overflows is off the grid
            units = np.rint(doubles * (1.0 / GRID))
    else:
        sums.add_to(units.ravel()[: len(sums)])
    widths = _widths(units)
    if sums.bound is None:
        widths[(units * GRID != doubles).any(axis=1)] = DOUBLE
    parts = [widths.astype(np.uint8).tobytes()]
    for width in sorted(set(widths.tolist())):
        numbers = doubles[widths == DOUBLE] if width == DOUBLE else units[widths == width].astype(_integer(width))
        parts.append(numbers.reshape(-1, 1).view(np.uint8).T[:width].tobytes())
    return b"".join(parts)


def pack_each(sums: Sequence[Sums]) -> list[bytes]:
    """`pack` each of several sums; those that fit in four bytes a number, as nearly all do, are packed in groups."""
    packed: dict[int, bytes] = {}
    by_length: dict[int, list[int]] = {}
    for place, each in enumerate(sums):
        if each.units.dtype == np.int32 and each.large is None:
            by_length.setdefault(len(each), []).append(place)
        else:
            packed[place] = pack(each)
    for places in by_length.values():
        for group in (places[first : first + AT_ONCE] for first in range(0, len(places), AT_ONCE)):
            packed.update(zip(group, _pack_units(np.stack([sums[place].units for place in group])), strict=True))
    return [packed[place] for place in range(len(sums))]


def _pack_units(units: NDArray[Any]) -> list[bytes]:
    """Pack ``(M, V)`` four-byte units."""
    chunks = -(-units.shape[1] // CHUNK)
    integers = np.zeros((len(units), chunks, CHUNK), _integer(4))
    integers.reshape(len(units), -1)[:, : units.shape[1]] = units
    widths = _widths(integers)
    parts = [[each.tobytes()] for each in widths.astype(np.uint8)]
    for width in np.unique(widths).tolist():
        chosen = widths == width
        planes = np.ascontiguousarray(integers[chosen].reshape(-1, 1).view(np.uint8).T[:width])
        ends = (CHUNK * np.cumsum(np.count_nonzero(chosen, axis=1))).tolist()
        for part, (start, end) in zip(parts, pairwise([0, *ends]), strict=True):
            part.append(planes[:, start:end].tobytes())
    return [b"".join(part) for part in parts]


def unpack(packed: bytes, count: int) -> Sums:
    """The inverse of `pack`, for `count` numbers.

    Raises:
        MessageError: the bytes do not hold that many numbers.
    """
    chunks = -(-count // CHUNK)
    widths, start = np.frombuffer(packed[:chunks], np.uint8), chunks
    if len(widths) < chunks or len(packed) != chunks + CHUNK * int(widths.sum()) or widths.max(initial=0) > DOUBLE:
        raise MessageError(f"does not hold {count} packed numbers", reason="malformed")
    narrow = widths.max(initial=0) <= np.dtype(np.int32).itemsize
    values = np.empty((chunks, CHUNK), np.int32 if narrow else np.float64)
    for width in sorted(set(widths.tolist())):
        chosen = widths == width
        numbers = CHUNK * int(np.count_nonzero(chosen))
        planes = np.frombuffer(packed, np.uint8, numbers * width, start).reshape(width, numbers)
        start += planes.size
        kind = np.dtype("<f8") if width == DOUBLE else _integer(width)
        integers = np.zeros((numbers, kind.itemsize), np.uint8)
        # The bytes go to the upper end, so that the shift below extends the sign.
        integers[:, kind.itemsize - width :] = planes.T
        part = integers.view(kind)
        if width < DOUBLE:
            part = part >> 8 * (kind.itemsize - width)
        values[chosen] = (part if narrow or width == DOUBLE else part * GRID).reshape(-1, CHUNK)
    found = values.ravel()[:count]
    return Sums(found, None, MOST) if narrow else keep(found)


def _widths(units: NDArray[Any]) -> NDArray[np.intp]:
    """Bytes that the numbers of each chunk need, for units ``(..., CHUNK)``."""
    widths: NDArray[np.intp] = 1 + np.searchsorted(_LIMITS, np.abs(units).max(axis=-1), side="right")
    return widths


def _integer(width: int) -> np.dtype[np.signedinteger]:
    """The integer type that is stored in `width` bytes."""
    return np.dtype("<i4" if width <= 4 else "<i8")
