"""What the compressed batches of an Arrow stream claim to unpack to, read before any is: Arrow takes their word for it.

References:
    Apache Arrow, ``Message.fbs``, "Buffer compression"; FlatBuffers, "Internals".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pyarrow as pa

DICTIONARY, BATCH = 2, 3
"""Of the kinds of messages those with buffers."""

HEADER_TYPE, HEADER = 1, 2
DATA = 1
BUFFERS, COMPRESSION = 2, 3
"""Numbers of fields, in a message, a dictionary and a batch."""


def unpacked_bytes(value: bytes) -> int:
    """What all compressed buffers of a stream claim to unpack to, bytes; 0 where none is compressed.

    Raises:
        ValueError: it is no Arrow stream.
        pyarrow.ArrowException: likewise.
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
    """What each buffer of a message claims: a number before its bytes, -1 where they are as they are."""
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
    """Where what is referred to from a place is."""
    return int(at + struct.unpack_from("<I", data, at)[0])


def _field(data: bytes, table: int, number: int) -> int:
    """Where a field of a table is; 0 if it has its default."""
    (back,) = struct.unpack_from("<i", data, table)
    (size,) = struct.unpack_from("<H", data, table - back)
    entry = 4 + 2 * number
    (found,) = struct.unpack_from("<H", data, table - back + entry) if entry < size else (0,)
    return table + found if found else 0
