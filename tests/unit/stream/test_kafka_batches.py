"""Batches that are made to fill the memory, or that kafka-python goes no further than."""

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
    """The name of a header as other languages than Java and Python let one write it."""

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


def signed(built: bytearray) -> bytearray:
    """With the checksum of what is in it by now."""
    begin = DefaultRecordBatch.ATTRIBUTES_OFFSET
    built[begin - 4 : begin] = calc_crc32c(memoryview(built)[begin:]).to_bytes(4, "big")
    return built


def partition(monkeypatch: pytest.MonkeyPatch, *batches: bytearray) -> tuple[Any, Any]:
    """What a consumer has of a fetch, and its fetcher."""
    monkeypatch.setattr(kafka_batches, "LEAST_UNPACKED", LIMIT)
    fetcher = SimpleNamespace(_append=lambda _drained, part, most, _update: len(part.take(most)))
    bound_batches(SimpleNamespace(_fetcher=fetcher), 1_024)  # type: ignore[arg-type]
    records = MemoryRecords(b"".join(map(bytes, batches)))
    return fetcher.PartitionRecords(0, TopicPartition("t", 0), records), fetcher


def read(part: Any) -> list[Record]:
    return [record_of(message) for message in part.take(500)]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_batch_that_unpacks_to_too_much_is_told_of_and_what_follows_is_read(
    codec: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = batch(b"a", bytes(2 * LIMIT), codec=codec)
    assert len(bomb) < LIMIT / 4
    part, _ = partition(monkeypatch, batch(b"first"), signed(at(bomb, 1)), signed(at(batch(b"last", codec=codec), 3)))
    first, told, last = read(part)
    assert (first.value, last.value, last.offset, last.refused) == (b"first", b"last", 3, None)
    assert (told.offset, told.value) == (2, b"")
    assert told.refused is not None
    assert told.refused.reason == "too_large"
    assert f"more than {LIMIT} bytes" in str(told.refused)


def at(built: bytearray, offset: int) -> bytearray:
    built[:8] = offset.to_bytes(8, "big")
    return built


@pytest.mark.parametrize("codec", [0, *CODECS.values()], ids=["none", *CODECS])
def test_a_message_with_a_name_that_is_no_text_is_told_of_alone(codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("h", NoUnicode("h"), "h")
    part, _ = partition(monkeypatch, batch(b"0", b"1", b"2", codec=codec, names=names), at(batch(b"3"), 3))
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
def test_a_batch_that_cannot_be_unpacked_is_told_of_once(codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    built = batch(*[b"some text" * 100] * 5, codec=codec)
    head = DefaultRecordBatch.HEADER_STRUCT.size
    built[head:] = bytes(byte ^ 0xA5 for byte in built[head:])
    part, _ = partition(monkeypatch, signed(built), at(batch(b"next"), 5))
    told, after = read(part)
    assert (told.offset, after.offset, after.value) == (4, 5, b"next")
    assert told.refused is not None
    assert told.refused.reason == "malformed"


def test_a_batch_that_breaks_off_is_told_of_where_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    built = batch(b"0", b"1" * 100)
    built[DefaultRecordBatch.HEADER_STRUCT.size + 14] = 0xFF  # the length of the second message, and what follows
    built[DefaultRecordBatch.HEADER_STRUCT.size + 15 :] = bytes([0xFF]) * 20
    built[8:12] = (len(built) - 12).to_bytes(4, "big")
    part, _ = partition(monkeypatch, signed(built), at(batch(b"next"), 2))
    assert [(each.offset, each.refused is None) for each in read(part)] == [(0, True), (1, False), (2, True)]


def test_a_poll_gives_no_more_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_batches, "AT_ONCE_BYTES", 1_000)
    part, fetcher = partition(monkeypatch, batch(*[bytes(600)] * 5))
    assert fetcher._append({}, part, 500, True) == 500  # as if it were full
    assert [each.offset for each in read(part)] == [2, 3]
    assert [each.offset for each in read(part)] == [4]


def test_what_stands_for_a_message_is_no_body() -> None:
    assert Unreadable() == b""
