"""Batches made to exhaust memory, and batches at which kafka-python would stop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder
from kafka.record.util import calc_crc32c

from driftwatch.stream import kafka_batches
from driftwatch.stream.kafka_batches import Unreadable, bound_batches, record_of
from driftwatch.stream.log import Record

CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
LIMIT = 1 << 20
SENT = tuple[str, bytes]


class NoUnicode(str):
    """A header name whose bytes are not valid UTF-8, as clients in some languages allow."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:  # type: ignore[override]
        return b"\xff\xfe"


def batch(*values: bytes, offset: int = 0, codec: int = 0, names: tuple[str, ...] = ()) -> bytearray:
    room = sum(map(len, values)) + 4_096
    builder = MemoryRecordsBuilder(magic=2, compression_type=codec, batch_size=room, offset=offset)
    for value, name in zip(values, names or ("h",) * len(values), strict=True):
        assert builder.append(timestamp=1, key=b"k", value=value, headers=[(name, b"v")])
    builder.close()
    return bytearray(builder.buffer())


def with_checksum(built: bytearray) -> bytearray:
    """The batch with the checksum of its present content."""
    begin = DefaultRecordBatch.ATTRIBUTES_OFFSET
    built[begin - 4 : begin] = calc_crc32c(memoryview(built)[begin:]).to_bytes(4, "big")
    return built


def partition(monkeypatch: pytest.MonkeyPatch, *batches: bytearray) -> tuple[Any, Any]:
    """The records of a fetch as a consumer reads them, and its fetcher."""
    monkeypatch.setattr(kafka_batches, "LEAST_UNPACKED", LIMIT)
    fetcher = SimpleNamespace(_append=lambda _drained, part, most, _update: len(part.take(most)))
    bound_batches(SimpleNamespace(_fetcher=fetcher), 1_024)  # type: ignore[arg-type]
    records = MemoryRecords(b"".join(map(bytes, batches)))
    return fetcher.PartitionRecords(0, TopicPartition("t", 0), records), fetcher


def read(part: Any) -> list[Record]:
    return [record_of(message) for message in part.take(500)]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_batch_that_is_too_large_unpacked_is_reported_and_the_next_ones_are_read(
    codec: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = batch(b"a", bytes(2 * LIMIT), codec=codec)
    assert len(bomb) < LIMIT / 4
    part, _ = partition(
        monkeypatch,
        batch(b"first"),
        with_checksum(with_offset(bomb, 1)),
        with_checksum(with_offset(batch(b"last", codec=codec), 3)),
    )
    first, refused, last = read(part)
    assert (first.value, last.value, last.offset, last.refused) == (b"first", b"last", 3, None)
    assert (refused.offset, refused.value) == (2, b"")
    assert refused.refused is not None
    assert refused.refused.reason == "too_large"
    assert f"more than {LIMIT} bytes" in str(refused.refused)


def with_offset(built: bytearray, offset: int) -> bytearray:
    built[:8] = offset.to_bytes(8, "big")
    return built


@pytest.mark.parametrize("codec", [0, *CODECS.values()], ids=["none", *CODECS])
def test_a_message_with_an_invalid_header_name_is_reported_alone(codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("h", NoUnicode("h"), "h")
    part, _ = partition(monkeypatch, batch(b"0", b"1", b"2", codec=codec, names=names), with_offset(batch(b"3"), 3))
    found = read(part)
    assert [(each.offset, each.value, each.refused is None) for each in found] == [
        (0, b"0", True),
        (1, b"", False),
        (2, b"2", True),
        (3, b"3", True),
    ]
    assert found[1].refused is not None
    assert (found[1].refused.reason, part.next_fetch_offset) == ("malformed", 4)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_batch_that_cannot_be_unpacked_is_reported_once(codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    built = batch(*[b"some text" * 100] * 5, codec=codec)
    head = DefaultRecordBatch.HEADER_STRUCT.size
    built[head:] = bytes(byte ^ 0xA5 for byte in built[head:])
    part, _ = partition(monkeypatch, with_checksum(built), with_offset(batch(b"next"), 5))
    refused, after = read(part)
    assert (refused.offset, after.offset, after.value) == (4, 5, b"next")
    assert refused.refused is not None
    assert refused.refused.reason == "malformed"


def test_a_truncated_batch_is_read_up_to_the_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    built = batch(b"0", b"1" * 100)
    built[DefaultRecordBatch.HEADER_STRUCT.size + 14] = 0xFF  # the length of the second message, and all that follows
    built[DefaultRecordBatch.HEADER_STRUCT.size + 15 :] = bytes([0xFF]) * 20
    built[8:12] = (len(built) - 12).to_bytes(4, "big")
    part, _ = partition(monkeypatch, with_checksum(built), with_offset(batch(b"next"), 2))
    assert [(each.offset, each.refused is None) for each in read(part)] == [(0, True), (1, False), (2, True)]


def test_a_poll_returns_a_limited_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_batches, "AT_ONCE_BYTES", 1_000)
    part, fetcher = partition(monkeypatch, batch(*[bytes(600)] * 5))
    assert fetcher._append({}, part, 500, True) == 500  # as if it were full
    assert [each.offset for each in read(part)] == [2, 3]
    assert [each.offset for each in read(part)] == [4]


def test_the_placeholder_of_an_unreadable_message_is_empty() -> None:
    assert Unreadable() == b""


def test_a_value_of_null_is_a_tombstone_and_an_empty_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    builder = MemoryRecordsBuilder(magic=2, compression_type=0, batch_size=4_096)
    for value in (None, b""):
        assert builder.append(timestamp=1, key=b"k", value=value, headers=[])
    builder.close()
    part, _ = partition(monkeypatch, bytearray(builder.buffer()))
    assert [(each.value, each.tombstone) for each in read(part)] == [(b"", True), (b"", False)]
