"""Makes records of Kafka's messages: decompresses batches within bounds, and reports what cannot be read.

Brokers limit the compressed size of a batch: a megabyte may decompress to gigabytes. And kafka-python 3.0.12 stops at a
message that it cannot read, such as one with a header whose name is not UTF-8. It has no public access to change
either.
"""

from __future__ import annotations

import io
import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import lz4.frame
import snappy
import zstandard
from kafka import KafkaConsumer
from kafka.consumer.fetcher import ConsumerRecord, Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint

from driftwatch.errors import MessageError
from driftwatch.stream.log import Record, event_time

LEAST_UNPACKED, TIMES_UNPACKED = 64 << 20, 4
"""Limits on a decompressed batch: bytes, or a multiple of the longest message if that is larger. Producers' batches are
by default a hundredth of this."""

AT_ONCE_BYTES = 64 << 20
"""Limit on the messages of one poll, not counting the last: each may decompress from a few bytes to the size limit."""

READ_BYTES = 256 << 10
"""Decompressed at a time; buffers are zeroed first, so large ones cost time even if unused."""

XERIAL = b"\x82SNAPPY\x00"
XERIAL_HEAD = 16


class Unreadable(bytes):
    """Stands for the value of a message that cannot be read, and carries the reason."""

    error: MessageError


def record_of(message: ConsumerRecord) -> Record:
    """The record for a message from kafka-python."""
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=event_time(message.timestamp),
        key=message.key,
        value=message.value or b"",
        headers=tuple((name, value or b"") for name, value in message.headers or ()),
        refused=message.value.error if isinstance(message.value, Unreadable) else None,
        tombstone=message.value is None,
    )


def bound_batches(consumer: KafkaConsumer, max_message_bytes: int) -> None:
    """Limit how much a consumer decompresses, and have it return `Unreadable` for messages that it cannot decode.

    Args:
        consumer: that has read nothing yet.
        max_message_bytes: size of the longest usable message.
    """
    limit = max(LEAST_UNPACKED, TIMES_UNPACKED * max_message_bytes)
    fetcher = consumer._fetcher
    append = fetcher._append

    class Bounded(Fetcher.PartitionRecords):  # type: ignore[misc]
        full = False

        def _unpack_records(self, tp: Any, records: Any, *more: Any) -> Any:
            return super()._unpack_records(tp, _Batches(records, limit), *more)

        def take(self, n: int | None = None) -> list[ConsumerRecord]:
            self._maybe_raise_next_inline_exception()
            taken: list[ConsumerRecord] = []
            size = 0
            try:
                for record in itertools.islice(self.record_iterator, n):
                    taken.append(record)
                    size += _size(record)
                    if size > AT_ONCE_BYTES:
                        break
            except CorruptRecordError as error:
                if not taken:
                    raise
                self._next_inline_exception = error
            self.full = size > AT_ONCE_BYTES
            return taken

    def append_some(drained: Any, part: Any, most: int, update_offsets: bool) -> int:
        taken = append(drained, part, most, update_offsets)
        return most if part.full else int(taken)  # a full part ends the poll, as if it had reached its limit

    fetcher.PartitionRecords, fetcher._append = Bounded, append_some


def _size(record: ConsumerRecord) -> int:
    return sum(max(0, size) for size in record[-3:])  # of key, value and headers


class _Batches:
    """The batches of a fetch, for `PartitionRecords`."""

    def __init__(self, records: Any, limit: int) -> None:
        self._records, self._limit = records, limit

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        return _Batch(batch, self._limit) if isinstance(batch, DefaultRecordBatch) else batch


class _Batch:
    """A batch that yields its messages, or `Unreadable` ones in their place."""

    def __init__(self, batch: DefaultRecordBatch, limit: int) -> None:
        self._batch, self._limit = batch, limit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[DefaultRecord]:
        batch, last = self._batch, -1
        try:
            decompress(batch, self._limit)
        except MessageError as error:
            yield _unreadable(batch, batch.last_offset_delta, error)
            return
        while batch._next_record_index < batch.records_count:
            begin = batch._pos
            try:
                record = next(batch)
            except CorruptRecordError as error:
                unreadable = MessageError(f"cannot be read from Kafka: {error.args[0]}"[:300], reason="malformed")
                delta = _skip(batch, begin)
                if delta is None or not last < delta <= batch.last_offset_delta:  # the rest is unreadable too
                    if last < batch.last_offset_delta:
                        yield _unreadable(batch, batch.last_offset_delta, unreadable)
                    return
                record = _unreadable(batch, delta, unreadable)
            last = record.offset - batch.base_offset
            yield record


def decompress(batch: DefaultRecordBatch, limit: int) -> None:
    """Decompress a batch whose checksum was verified.

    Args:
        batch: compressed or not.
        limit: on the decompressed size, bytes.

    Raises:
        MessageError: it cannot be decompressed, or exceeds the limit.
    """
    kind = batch.compression_type
    if batch._decompressed or kind == batch.CODEC_NONE:
        return
    data = bytes(memoryview(batch._buffer)[batch._pos :])
    where = f"batch of {len(data)} bytes"
    try:
        decompressed = DECOMPRESSORS[kind](data, limit)
    # Each library raises exceptions of its own for damaged batches, and documents none of them.
    except Exception as error:  # noqa: BLE001
        words = str(error) or type(error).__name__
        raise MessageError(f"cannot be decompressed: {words}"[:300], reason="malformed", where=where) from None
    if len(decompressed) > limit:
        raise MessageError(
            f"decompresses to more than {limit} bytes",
            reason="too_large",
            where=where,
            remedy="send smaller batches",
        )
    batch._buffer, batch._pos, batch._decompressed = bytearray(decompressed), 0, True


def _gzip(data: bytes, limit: int) -> bytes:
    parts, size = list[bytes](), 0
    while data and size <= limit:
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        parts.append(member.decompress(data, limit + 1 - size))
        size += len(parts[-1])
        data = member.unused_data
    return b"".join(parts)


def _lz4(data: bytes, limit: int) -> bytes:
    return _read(lz4.frame.LZ4FrameFile(io.BytesIO(data)).read, limit)


def _zstd(data: bytes, limit: int) -> bytes:
    return _read(zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read, limit)


def _read(read: Callable[[int], bytes], limit: int) -> bytes:
    parts, size = list[bytes](), 0
    while size <= limit and (part := read(READ_BYTES)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _snappy(data: bytes, limit: int) -> bytes:
    """Decompress Java's sequence of blocks, or one block; a block states its decompressed length at the start."""
    if not data.startswith(XERIAL):
        return b"" if not data else _snappy_block(data, limit)
    blocks, at, size = list[bytes](), XERIAL_HEAD, 0
    while at < len(data) and size <= limit:
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        blocks.append(_snappy_block(data[at + 4 : end], limit))
        size += len(blocks[-1])
        at = end
    return b"".join(blocks)


def _snappy_block(block: bytes, limit: int) -> bytes:
    size = sum((byte & 0x7F) << 7 * i for i, byte in enumerate(_varint(block)))
    return bytes(limit + 1) if size > limit else bytes(snappy.decompress(block))


def _varint(block: bytes) -> bytes:
    end = next(i for i, byte in enumerate(block[:5], 1) if byte < 0x80)
    return block[:end]


DECOMPRESSORS: Mapping[int, Callable[[bytes, int], bytes]] = {
    DefaultRecordBatch.CODEC_GZIP: _gzip,
    DefaultRecordBatch.CODEC_SNAPPY: _snappy,
    DefaultRecordBatch.CODEC_LZ4: _lz4,
    DefaultRecordBatch.CODEC_ZSTD: _zstd,
}


def _skip(batch: DefaultRecordBatch, begin: int) -> int | None:
    """Skip a message; return its offset in the batch, or None if its end cannot be determined."""
    buffer = batch._buffer
    try:
        length, start = decode_varint(buffer, begin)
        _, at = decode_varint(buffer, start)
        _, at = decode_varint(buffer, at)
        delta, _ = decode_varint(buffer, at)
    except (ValueError, IndexError):
        return None
    if length <= 0 or start + length > len(buffer):
        return None
    batch._pos = start + length
    batch._next_record_index += 1
    return int(delta)


def _unreadable(batch: DefaultRecordBatch, delta: int, error: MessageError) -> DefaultRecord:
    value = Unreadable()
    value.error = error
    return DefaultRecord(0, batch.base_offset + delta, batch.max_timestamp, batch.timestamp_type, None, value, [])
