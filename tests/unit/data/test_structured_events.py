"""What a structured CloudEvent says of itself, before anybody needs its samples."""

from __future__ import annotations

import pytest

from driftwatch.data.structured_events import StructuredEvent, structured_event
from driftwatch.errors import MessageError


@pytest.mark.parametrize(
    ("value", "attributes"),
    [
        (b'{"specversion": "1.0", "source": "a", "data": "b", "sequence": 1}', {"specversion": "1.0", "source": "a"}),
        (b'["source"]', {}),
        (b"{", {}),
        (b"", {}),
    ],
)
def test_attributes_are_texts_beside_the_data(value: bytes, attributes: dict[str, str]) -> None:
    assert StructuredEvent(value).attributes == attributes


def test_a_body_that_is_not_json_is_an_error_only_for_who_needs_it() -> None:
    event = StructuredEvent(b"{")
    assert event.attributes == {}
    with pytest.raises(MessageError, match="is not valid JSON"):
        _ = event.parsed


def test_only_what_is_declared_is_an_event() -> None:
    assert structured_event(b"{}", {"content-type": b"application/json"}) is None
    assert structured_event(b"{}", {"content-type": b"Application/CloudEvents+JSON; charset=utf-8"}) is not None
