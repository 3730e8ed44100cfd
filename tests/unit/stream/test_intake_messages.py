"""Requests to the intake as messages of a log: their names, formats, keys and times."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from driftwatch.config import HttpSource
from driftwatch.data.codecs import decode, encode
from driftwatch.data.schema import VectorSchema
from driftwatch.stream.alert import rfc3339
from driftwatch.stream.intake import Posted, event_time_ms, record_of

ARRIVED_MS = 1_800_000_000_000
EVENT = {
    "ce-specversion": "1.0",
    "ce-type": "org.kubeflow.serving.inference.request",
    "ce-source": "http://localhost:9081/",
    "ce-inferenceservicename": "fashion",
    "ce-time": "2026-01-01T00:00:00.123456789Z",
}
RESPONSE = {**EVENT, "ce-type": "org.kubeflow.serving.inference.response"}
IGNORING, WATCHING = HttpSource(kind="http"), HttpSource(kind="http", responses="watch")
JSON = b'{"instances": [[1, 2, 3]]}'


def record(value: bytes, headers: dict[str, str] | None = None, model: str = "", **more: Any) -> Any:
    pairs = tuple((name.encode(), text.encode()) for name, text in (headers or {}).items())
    return record_of(Posted(value, pairs, model, ARRIVED_MS), 7, **{"source": IGNORING, "stream": None, **more})


def test_attributes_have_the_same_names_as_in_kafka() -> None:
    found = record(JSON, {**EVENT, "ce-metadata": "%7B%22a%22%3A%20%22100%25%22%7D", "traceparent": "00-1-2-01"})
    assert found.header["ce_inferenceservicename"] == b"fashion"
    assert found.header["ce_metadata"] == b'{"a": "100%"}'
    assert found.header["traceparent"] == b"00-1-2-01"
    assert (found.key, found.offset, found.timestamp_ms) == (b"fashion", 7, 1_767_225_600_123)


@pytest.mark.parametrize(
    ("label", "form", "content_type"),
    [
        ("application/x-www-form-urlencoded", "json", b"application/json"),
        ("application/json", "npy", b"application/x-npy"),
        ("", "arrow", b"application/vnd.apache.arrow.stream"),
        ("text/plain; charset=utf-8", "v2", b"application/json"),
        ("application/octet-stream", "npy", b"application/x-npy"),
    ],
)
def test_bodies_are_recognised_by_content_not_by_label(label: str, form: str, content_type: bytes) -> None:
    batch, schema = np.array([[1.0, 2.0, 3.0]]), VectorSchema(dim=3)
    found = record(encode(batch, schema, form)[0], {"content-type": label})
    assert found.header["content-type"] == content_type
    np.testing.assert_array_equal(decode(found.value, found.header, schema), batch)


def test_an_unknown_specific_label_is_kept() -> None:
    assert record(b"x,y\n", {"content-type": "Text/CSV; charset=x"}).header["content-type"] == b"text/csv"


@pytest.mark.parametrize(
    ("headers", "model", "stream", "key"),
    [
        ({}, "", None, None),
        ({}, "", "only", b"only"),
        ({}, "mirrored", "only", b"mirrored"),
        ({"driftwatch-stream": "named"}, "mirrored", "only", b"named"),
        (EVENT, "", "only", b"fashion"),
        ({"ce-type": "x", "ce-source": "/s"}, "", "only", b"/s"),
    ],
)
def test_the_most_explicit_name_is_the_key(
    headers: dict[str, str], model: str, stream: str | None, key: bytes | None
) -> None:
    assert record(JSON, headers, model, stream=stream).key == key


def test_structured_events_are_read_for_their_attributes() -> None:
    event = {name.removeprefix("ce-"): value for name, value in EVENT.items()} | {"data": [[1, 2, 3]]}
    headers = {"content-type": "application/cloudevents+json; charset=utf-8"}
    found = record(orjson.dumps(event), headers)
    assert (found.key, found.timestamp_ms) == (b"fashion", 1_767_225_600_123)
    assert decode(found.value, found.header, VectorSchema(dim=3)).tolist() == [[1, 2, 3]]
    assert record(orjson.dumps(event | {"type": RESPONSE["ce-type"]}), headers) is None
    assert record(b"{", headers).key is None


def test_responses_are_ignored_or_have_their_own_stream() -> None:
    assert record(b'{"predictions": [[1, 2, 3]]}', RESPONSE) is None
    for body in (
        b'{"predictions": [[1, 2, 3]]}',
        b'{"outputs": [{"name": "y", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}',
    ):
        found = record(body, RESPONSE, source=WATCHING)
        assert found.header["driftwatch-stream"] == b"fashion.responses"
        assert decode(found.value, found.header, VectorSchema(dim=3)).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    "time", ["", "yesterday", "2026-01-01", "2026-01-01T00:00:00", "2999-01-01T00:00:00Z", "1" * 500]
)
def test_an_invalid_time_is_replaced_by_that_of_arrival(time: str) -> None:
    assert event_time_ms(time, ARRIVED_MS) == ARRIVED_MS


def test_a_time_before_the_first_year_is_limited() -> None:
    assert rfc3339(event_time_ms("0001-01-01T00:00:00+14:00", ARRIVED_MS)) == "0001-01-01T00:00:00.000Z"
