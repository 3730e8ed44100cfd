"""Reading the schema ID and message indexes that frame a registered message."""

from __future__ import annotations

import io
from uuid import UUID

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.data.schema_framing import Framed, framed, message_indexes
from driftwatch.errors import MessageError
from tests.registry import refused_for

LONG = fastavro.parse_schema("long")
GUID = UUID("cc0e0e0e-53c1-4a1a-8f1a-000000000001")


def varints(*numbers: int) -> bytes:
    """Encode numbers as Avro longs, which are the same zigzag varints."""
    written = io.BytesIO()
    for number in numbers:
        fastavro.schemaless_writer(written, LONG, number)
    return written.getvalue()


@given(st.integers(0, 2**32 - 1), st.binary())
def test_the_id_is_four_bytes_after_a_zero(number: int, body: bytes) -> None:
    assert framed(b"\x00" + number.to_bytes(4, "big") + body, {}) == Framed(number, body)


def test_a_header_with_the_schema_and_message_indexes_has_precedence() -> None:
    headers = {"__value_schema_id": b"\x01" + GUID.bytes + b"\x02\x04"}
    assert framed(b"\x00body", headers) == Framed(GUID, b"\x02\x04\x00body")
    assert framed(b"body", {"__value_schema_id": b"\x00\x00\x00\x00\x07"}) == Framed(7, b"body")


@pytest.mark.parametrize("value", [b"{}", b"[1]", b"\x93NUMPY", b"\xff\xff\xff\xff", b"\x01"])
def test_other_formats_have_no_frame(value: bytes) -> None:
    assert framed(value, {}) is None


@pytest.mark.parametrize(
    ("value", "header"),
    [(b"\x00", b""), (b"\x00\x00\x00\x00", b""), (b"x", b"\x01" + GUID.bytes[:15]), (b"x", b"\x02" + GUID.bytes)],
)
def test_a_truncated_frame_is_malformed(value: bytes, header: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        framed(value, {"__value_schema_id": header})
    assert caught.value.reason == "malformed"


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20), st.binary())
def test_indexes_are_read_as_written(indexes: list[int], body: bytes) -> None:
    assert message_indexes(varints(len(indexes), *indexes) + body) == (tuple(indexes), body)


@given(st.binary())
def test_a_single_zero_stands_for_the_first_message(body: bytes) -> None:
    assert message_indexes(b"\x00" + body) == ((0,), body)


@given(st.binary(max_size=40))
def test_any_bytes_are_indexes_or_malformed(data: bytes) -> None:
    assert refused_for(message_indexes, data) in ("", "malformed")
