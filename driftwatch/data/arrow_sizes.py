"""The declared unpacked size of an Arrow stream's compressed batches, read before unpacking: Arrow trusts it blindly.

References:
    Apache Arrow, ``Message.fbs``, "Buffer compression"; FlatBuffers, "Internals".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pyarrow as pa

DICTIONARY, BATCH = 2, 3
"""Kinds of messages that have buffers."""

HEADER_TYPE, HEADER = 1, 2
DATA = 1
BUFFERS, COMPRESSION = 2, 3
"""Field numbers in a message, a dictionary and a batch."""


def unpacked_bytes(value: bytes) -> int:
    """The bytes that all compressed buffers of a stream claim to unpack to; 0 if none is compressed.

    Raises:
        ValueError: it is not an Arrow stream.
        pyarrow.ArrowException: it is not an Arrow stream.
    """
    reader = pa.ipc.MessageReader.open_stream(value)
    total = 0
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return total
        if message.body is not None:
            total += sum(_claims(message.metadata.to_pybytes(), memoryview(message.body)))


def _claims(metadata: bytes, body: memoryview) -> Iterator[int]:
    """The claim of each buffer of a message: a number before its bytes, or -1 if they are not compressed."""
    try:
        message = _offset(metadata, 0)
        kind, header = _field(metadata, message, HEADER_TYPE), _field(metadata, message, HEADER)
        if not kind or not header or metadata[kind] not in (DICTIONARY, BATCH):
            return
        batch = _offset(metadata, header)
        if metadata[kind] == DICTIONARY:
            batch = _offset(metadata, _field(metadata, batch, DATA))
        buffers = _field(metadata, batch, BUFFERS)
        if not buffers or not _field(metadata, batch, COMPRESSION):
            return
        vector = _offset(metadata, buffers)
        for number in range(*struct.unpack_from("<I", metadata, vector)):
            start, length = struct.unpack_from("<qq", metadata, vector + 4 + 16 * number)
            if length:
                yield max(0, *struct.unpack_from("<q", body, start))
    except (struct.error, IndexError) as error:
        raise ValueError(f"damaged metadata: {error}") from None


def _offset(data: bytes, at: int) -> int:
    """The target of the relative offset at a position."""
    return int(at + struct.unpack_from("<I", data, at)[0])


def _field(data: bytes, table: int, number: int) -> int:
    """The position of a table's field; 0 if it has its default value."""
    (back,) = struct.unpack_from("<i", data, table)
    (size,) = struct.unpack_from("<H", data, table - back)
    entry = 4 + 2 * number
    (found,) = struct.unpack_from("<H", data, table - back + entry) if entry < size else (0,)
    return table + found if found else 0
