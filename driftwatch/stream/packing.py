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
from driftwatch.stats.summary import GRID, Array
from driftwatch.stats.sums import MOST, Sums, keep

CHUNK = 32
"""Numbers that share a width. Smaller chunks fit the numbers more closely, but need more width bytes."""

DOUBLE = 8
"""Width that marks double precision; integers are narrower."""

AT_ONCE = 64
"""Sums that are packed together; larger groups are no faster."""

_NARROW, _KNOWN = bytes(range(5)), bytes(range(DOUBLE + 1))
"""Widths of integers that fit in four bytes, and all widths."""

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
    (found,) = unpack_each([packed], [count])
    if isinstance(found, MessageError):
        raise found
    return found


def unpack_each(packed: Sequence[bytes], counts: Sequence[int]) -> list[Sums | MessageError]:
    """`unpack` each of several; sums of as many numbers are unpacked in groups. Errors are returned, not raised."""
    found: dict[int, Sums | MessageError] = {}
    alike: dict[tuple[int, bool], list[int]] = {}
    for place, (each, count) in enumerate(zip(packed, counts, strict=True)):
        chunks = -(-count // CHUNK)
        widths = each[: max(chunks, 0)]
        if len(widths) != chunks or len(each) != chunks + CHUNK * sum(widths) or widths.translate(None, _KNOWN):
            found[place] = MessageError(f"does not hold {count} packed numbers", reason="malformed")
        else:
            alike.setdefault((count, not widths.translate(None, _NARROW)), []).append(place)
    for (count, narrow), places in alike.items():
        for group in (places[first : first + AT_ONCE] for first in range(0, len(places), AT_ONCE)):
            found.update(zip(group, _unpack_group([packed[place] for place in group], count, narrow), strict=True))
    return [found[place] for place in range(len(packed))]


def _unpack_group(packed: Sequence[bytes], count: int, narrow: bool) -> list[Sums]:
    """Unpack sums of `count` numbers each, which all fit in four bytes if they are `narrow`."""
    chunks = -(-count // CHUNK)
    widths = np.frombuffer(b"".join([each[:chunks] for each in packed]), np.uint8).reshape(len(packed), chunks)
    values = np.empty((*widths.shape, CHUNK), np.int32 if narrow else np.float64)
    starts = [chunks] * len(packed)
    for width in np.unique(widths).tolist():
        chosen = widths == width
        sizes = (CHUNK * np.count_nonzero(chosen, axis=1)).tolist()
        planes = []
        for _ in range(width):
            ends = [start + size for start, size in zip(starts, sizes, strict=True)]
            planes.append(b"".join([each[a:b] for each, a, b in zip(packed, starts, ends, strict=True)]))
            starts = ends
        # From the highest bytes, which have the sign, to the lowest: several times as quick as transposing bytes.
        numbers: NDArray[Any] = np.frombuffer(planes.pop(), np.int8).astype(np.int32 if narrow else np.int64)
        while planes:
            numbers <<= 8
            numbers |= np.frombuffer(planes.pop(), np.uint8)
        values[chosen] = (_scaled(numbers, width) if not narrow else numbers).reshape(-1, CHUNK)
    each = values.reshape(len(packed), -1)[:, :count]
    # Copied, so that keeping one does not keep the memory of all.
    return [Sums(sums.copy(), None, MOST) if narrow else keep(sums) for sums in each]


def _scaled(numbers: NDArray[Any], width: int) -> Array:
    """The sums of which these are the units, or the bytes in double precision."""
    return np.asarray(numbers.view(np.float64) if width == DOUBLE else numbers * GRID)


def _widths(units: NDArray[Any]) -> NDArray[np.intp]:
    """Bytes that the numbers of each chunk need, for units ``(..., CHUNK)``."""
    widths: NDArray[np.intp] = 1 + np.searchsorted(_LIMITS, np.abs(units).max(axis=-1), side="right")
    return widths


def _integer(width: int) -> np.dtype[np.signedinteger]:
    """The integer type that is stored in `width` bytes."""
    return np.dtype("<i4" if width <= 4 else "<i8")
