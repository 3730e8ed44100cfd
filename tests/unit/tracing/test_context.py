"""The trace that a message belongs to: taken as its sender tells it, and from nowhere else."""

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


def test_it_is_in_the_message_s_header_or_the_event_s_attribute_binary_or_structured() -> None:
    told = CONTEXT.encode()
    assert context_of({"traceparent": told}) == CONTEXT
    assert context_of({"ce_traceparent": told}) == CONTEXT
    assert context_of(STRUCTURED, structured_event(EVENT, STRUCTURED)) == CONTEXT
    assert context_of({}) == ""
    assert context_of(STRUCTURED, StructuredEvent(b'{"specversion": "1.0"}')) == ""


def test_whoever_passed_the_message_on_last_says_where_it_is() -> None:
    headers = {**STRUCTURED, "traceparent": OTHER.encode(), "ce_traceparent": CONTEXT.encode()}
    assert context_of(headers, structured_event(EVENT, headers)) == OTHER


def test_a_body_is_not_searched_unless_it_is_called_an_event() -> None:
    headers = {"content-type": b"application/json"}
    assert context_of(headers, structured_event(EVENT, headers)) == ""


@pytest.mark.parametrize(
    "told",
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
def test_what_is_no_context_counts_for_nothing(told: str) -> None:
    assert context_of({"traceparent": told.encode()}) == ""
    assert context_of(STRUCTURED, StructuredEvent(orjson.dumps({"specversion": "1.0", "traceparent": told}))) == ""


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_no_bytes_whatever_do_harm(told: bytes, value: bytes) -> None:
    assert context_of({"traceparent": told}, StructuredEvent(value)) == ""
    assert context_of(STRUCTURED, StructuredEvent(value + b'"traceparent"')) == ""


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
def test_every_context_comes_through_as_it_is_and_goes_on_so(trace: int, span: int, flags: int) -> None:
    context = f"00-{trace:032x}-{span:016x}-{flags:02x}"
    assert context_of(dict(trace_headers(context))) == context
    assert is_sampled(context) == (flags % 2 == 1)


def test_without_a_context_nothing_goes_along() -> None:
    assert trace_headers("") == ()
    assert not is_sampled("")
