"""The trace context of a message: as its sender states it, and from nowhere else."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.data.structured_events import StructuredEvent, structured_event
from driftwatch.tracing import context_of, is_sampled, trace_headers

CONTEXT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-11111111111111111111111111111111-2222222222222222-00"
EVENT = orjson.dumps({"specversion": "1.0", "traceparent": CONTEXT, "data": [[1.0]]})
STRUCTURED = {"content-type": b"application/cloudevents+json; charset=utf-8"}


def test_the_context_is_in_a_header_or_in_an_attribute_of_the_event() -> None:
    header = CONTEXT.encode()
    assert context_of({"traceparent": header}) == CONTEXT
    assert context_of({"ce_traceparent": header}) == CONTEXT
    assert context_of(STRUCTURED, structured_event(EVENT, STRUCTURED)) == CONTEXT
    assert context_of({}) == ""
    assert context_of(STRUCTURED, StructuredEvent(b'{"specversion": "1.0"}')) == ""


def test_the_header_has_precedence_over_the_event() -> None:
    headers = {**STRUCTURED, "traceparent": OTHER.encode(), "ce_traceparent": CONTEXT.encode()}
    assert context_of(headers, structured_event(EVENT, headers)) == OTHER


def test_a_body_is_searched_only_if_it_is_declared_an_event() -> None:
    headers = {"content-type": b"application/json"}
    assert context_of(headers, structured_event(EVENT, headers)) == ""


@pytest.mark.parametrize(
    "context",
    [
        CONTEXT.upper(),
        f"{CONTEXT}-01",
        CONTEXT[:-1],
        CONTEXT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        CONTEXT.replace("b7ad6b7169203331", "0" * 16),
        f"ff{CONTEXT[2:]}",
        "",
        "\n" + CONTEXT,
        CONTEXT + "\n",
    ],
)
def test_an_invalid_context_is_ignored(context: str) -> None:
    assert context_of({"traceparent": context.encode()}) == ""
    assert context_of(STRUCTURED, StructuredEvent(orjson.dumps({"specversion": "1.0", "traceparent": context}))) == ""


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_arbitrary_bytes_are_ignored(context: bytes, value: bytes) -> None:
    assert context_of({"traceparent": context}, StructuredEvent(value)) == ""
    assert context_of(STRUCTURED, StructuredEvent(value + b'"traceparent"')) == ""


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
def test_every_valid_context_is_passed_on_unchanged(trace: int, span: int, flags: int) -> None:
    context = f"00-{trace:032x}-{span:016x}-{flags:02x}"
    assert context_of(dict(trace_headers(context))) == context
    assert is_sampled(context) == (flags % 2 == 1)


def test_without_a_context_no_headers_are_sent() -> None:
    assert trace_headers("") == ()
    assert not is_sampled("")
