"""Batches of any type become messages that the daemon reads as the same samples."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from pydantic import BaseModel

from driftwatch.client.observation import MERGED_BYTES, Observation, messages
from driftwatch.client.reading import LARGEST, addressed, read
from driftwatch.data import schema as schemas
from driftwatch.data.codecs import decode
from driftwatch.data.schema import Column, ImageSchema, TableSchema, VectorSchema

VECTOR = VectorSchema(dim=3)
IMAGE = ImageSchema(channels=1, height=2, width=2)
TABLE = TableSchema(
    columns=(Column(name="age", kind="numeric"), Column(name="city", kind="category", categories=("Bonn", "Ulm")))
)
SAMPLES = [[1.0, 2.0, 3.5], [4.0, 5.0, -6.0]]
ROWS = [{"age": 31.5, "city": "Ulm"}, {"age": None, "city": "Bonn"}]
READ_ROWS = [[31.5, 1.0], [np.nan, 0.0]]
MAX_BYTES = 1 << 20


class Person(BaseModel):
    age: float | None
    city: str


class ArrayLike:
    """A type with the array protocol, as in JAX and TensorFlow."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(SAMPLES)


def keep_all(_: int) -> None:
    return None


def observed(batch: Any, content_type: str | None = None) -> Observation:
    observation = read(batch, keep_all, content_type)
    assert observation is not None
    return observation


def decoded(group: list[Observation], schema: Any) -> np.ndarray:
    """The samples that the daemon decodes."""
    (body,) = messages(group, MAX_BYTES)
    headers = {} if group[0].content_type is None else {"content-type": group[0].content_type.encode()}
    return decode(body, headers, schema)


@pytest.mark.parametrize(
    ("batch", "schema", "expected"),
    [
        (np.array(SAMPLES, np.float32), VECTOR, SAMPLES),
        (np.array(SAMPLES, ">f8"), VECTOR, SAMPLES),
        (np.asfortranarray(SAMPLES), VECTOR, SAMPLES),
        (np.array(SAMPLES)[:, ::-1], VECTOR, [row[::-1] for row in SAMPLES]),
        (np.array(SAMPLES[0]), VECTOR, SAMPLES[:1]),
        (np.array(SAMPLES, object), VECTOR, SAMPLES),
        (ArrayLike(), VECTOR, SAMPLES),
        (torch.tensor(SAMPLES, requires_grad=True), VECTOR, SAMPLES),
        (torch.tensor(SAMPLES, dtype=torch.bfloat16), VECTOR, SAMPLES),
        ([torch.tensor(row) for row in SAMPLES], VECTOR, SAMPLES),
        ([np.array(row) for row in SAMPLES], VECTOR, SAMPLES),
        ([np.float32(v) for v in SAMPLES[0]], VECTOR, SAMPLES[:1]),
        (SAMPLES, VECTOR, SAMPLES),
        (tuple(map(tuple, SAMPLES)), VECTOR, SAMPLES),
        (SAMPLES[0], VECTOR, SAMPLES[:1]),
        ({"instances": SAMPLES}, VECTOR, SAMPLES),
        ({"inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP32", "data": SAMPLES}]}, VECTOR, SAMPLES),
        ([[[1, 2], [3, 4]]], IMAGE, [[[[1, 2], [3, 4]]]]),
        (np.array([[[1, 2], [3, 4]]], np.uint8), IMAGE, [[[[1, 2], [3, 4]]]]),
        (ROWS, TABLE, READ_ROWS),
        (ROWS[0], TABLE, READ_ROWS[:1]),
        ([Person(**row) for row in ROWS], TABLE, READ_ROWS),
        (Person(**ROWS[0]), TABLE, READ_ROWS[:1]),
        ([[31.5, "Ulm"], [float("nan"), "Bonn"]], TABLE, READ_ROWS),
        ({"age": [31.5, None], "city": ["Ulm", "Bonn"]}, TABLE, READ_ROWS),
        ({"age": np.array([31.5, np.nan]), "city": np.array(["Ulm", "Bonn"])}, TABLE, READ_ROWS),
        ({"age": np.float32(31.5), "city": np.str_("Ulm")}, TABLE, READ_ROWS[:1]),
        ({"age": Decimal("31.5"), "city": "Ulm", "at": datetime(2026, 1, 1, tzinfo=UTC)}, TABLE, READ_ROWS[:1]),
        (pd.DataFrame(ROWS), TABLE, READ_ROWS),
        (pd.DataFrame(ROWS).convert_dtypes().assign(at=[pd.NaT, pd.Timestamp(0)]), TABLE, READ_ROWS),
        (pl.DataFrame(ROWS), TABLE, READ_ROWS),
        (pa.Table.from_pylist(ROWS), TABLE, READ_ROWS),
        (pa.RecordBatch.from_pylist(ROWS), TABLE, READ_ROWS),
    ],
)
def test_the_daemon_decodes_what_was_observed(batch: Any, schema: Any, expected: Any) -> None:
    np.testing.assert_array_equal(decoded([observed(batch)], schema), np.array(expected, float))


@pytest.mark.parametrize(
    ("body", "content_type", "form"),
    [
        (b'{"instances": [[1, 2, 3.5]]}', "application/json; charset=utf-8", "instances"),
        (b"[[1, 2, 3.5]]", "application/json", "instances"),
        (b'[{"age": 1, "city": "Ulm"}]', "application/json", "rows"),
        (b'{"age": 1, "city": "Ulm"}', "Application/JSON", "rows"),
        (b'{"instances": [[1, 2]], "signature_name": "x"}', "application/json", "body"),
        (b'{"inputs": []}', "application/json", "body"),
        (b'{"age": [1], "city": ["Ulm"]}', "application/json", "body"),
        (b'{"instances": [1, 2]}', "application/json", "body"),
        (b'[[1], {"age": 1}]', "application/json", "body"),
        (b"[[NaN]]", "application/json", "body"),
        (b"[" * 5_000 + b"]" * 5_000, "application/json", "body"),
        (b"{", "application/json", "body"),
        (b"[[1e999]]", "application/json", "body"),
        (b'[{"city": "\\ud800"}]', "application/json", "body"),
        ('[{"city": "Köln"}]'.encode("utf-16"), "application/json", "body"),
        (b'[{"city": "\xff"}]', "application/json", "body"),
        ('[{"city": "Köln"}]'.encode(), "application/json", "rows"),
        (b"[[1, 2]]" + b" " * 5_000, "application/json", "body"),
        (b"[[1, 2]]", "text/plain", "body"),
        (b"\x93NUMPY", None, "body"),
    ],
)
def test_small_json_bodies_are_parsed_and_others_are_sent_unchanged(body: bytes, content_type: str, form: str) -> None:
    observation = observed(body, content_type)
    assert observation.form == form
    if form == "body":
        assert (observation.body, observation.content_type, observation.group) == (body, content_type, None)
    else:
        assert observation.group is not None


def test_a_body_nested_too_deeply_for_the_daemon_is_not_merged() -> None:
    """Python 3.11 cannot parse it; 3.13 can, and writes it anew."""
    body = b"[" * 2_000 + b"]" * 2_000
    observation = observed(body, "application/json")
    assert (observation.group, observation.body) == (None, body if observation.form == "body" else body[1:-1])


@pytest.mark.parametrize(
    ("make", "schema"),
    [
        (lambda i: np.full((i + 1, 3), i, np.float32), VECTOR),
        (lambda i: [[float(i), 2, 3]], VECTOR),
        (lambda i: {"age": i, "city": "Ulm"}, TABLE),
        (lambda i: [[i, "Ulm"]], TABLE),
    ],
)
def test_similar_observations_share_a_message(make: Callable[[int], Any], schema: Any) -> None:
    group = [observed(make(i)) for i in range(4)]
    assert len({observation.group for observation in group}) == 1
    assert group[0].group is not None
    separately = np.concatenate([decoded([observation], schema) for observation in group])
    np.testing.assert_array_equal(decoded(group, schema), separately)


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, 3), np.float64),
        np.zeros((1, 4), np.float32),
        np.full((1, 3), np.nan, np.float32),
        np.zeros((MERGED_BYTES, 3), np.float32),
        [[1.0, 2.0, 3.0]],
        [[1.0, 2.0, None]],
        [[1.0, 2.0, "a"]],
        [[1.0, 2.0, [3.0]]],
        [[1.0, 2.0, 10**400]],
        [[1.0, 2.0, 3.0, 4.0]],
        {"age": 1},
        [{"age": 1, "town": [1]}],
        [{"age": 10**400, "town": "Ulm"}],
        [{"age": 1, "town": "Ulm"}, {"age": 1}],
        {"age": 1, "city": "Ulm"},
        {"age": "old", "town": "Ulm"},
        [{"age": 1, "town": "Ulm"}, {"age": "old", "town": "Ulm"}],
    ],
)
def test_observations_that_could_spoil_a_message_are_not_merged(batch: Any) -> None:
    assert observed(batch).group != observed(np.zeros((1, 3), np.float32)).group
    if isinstance(batch, list):
        assert batch == [[1.0, 2.0, 3.0]] or observed(batch).group != observed([[1.0, 2.0, 3.0]]).group
    if isinstance(batch, dict) or isinstance(batch[0], dict):
        assert observed(batch).group != observed({"age": 1, "town": "Ulm"}).group


def test_a_number_that_the_daemon_reads_as_missing_is_not_merged() -> None:
    assert LARGEST == schemas.LARGEST
    for make in (lambda value: np.full((1, 3), value), lambda value: [[1.0, 2.0, value]], lambda value: {"age": value}):
        assert observed(make(LARGEST)).group == observed(make(0.0)).group != observed(make(2 * LARGEST)).group


def test_rows_are_merged_whichever_numbers_are_missing() -> None:
    assert observed({"age": None, "town": "Ulm"}).group == observed({"age": 31, "town": "Bonn"}).group is not None


def test_observations_of_other_streams_or_with_headers_are_not_merged() -> None:
    plain = observed(np.zeros((1, 3)))
    assert addressed(plain, "a", None).group != addressed(plain, "b", None).group
    assert addressed(plain, "a", {"traceparent": "00-1-1-01"}).group is None
    for stream, headers in (("a\nb", {}), ("", {}), ("a", {"x": "1\r\nb: 2"}), ("a", {"x y": "1"}), ("a", {"": "1"})):
        with pytest.raises(ValueError, match="header"):
            addressed(plain, stream, headers)


def test_observations_are_copies() -> None:
    array, row = np.zeros((1, 3)), {"age": 1.0, "city": "Ulm"}
    observation, observed_row = observed(array), observed(row)
    array[:] = 7
    row["age"] = 7
    assert decoded([observation], VECTOR).max() == 0
    assert decoded([observed_row], TABLE)[0, 0] == 1


def test_large_arrays_are_split() -> None:
    array = np.arange(30.0).reshape(10, 3)
    parts = list(messages([observed(array)], 100))
    assert [len(decode(part, {}, VECTOR)) for part in parts] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([decode(part, {}, VECTOR) for part in parts]), array)
    assert len(list(messages([observed(array)], 1))) == 10


@pytest.mark.parametrize(
    "batch",
    [
        "text",
        7,
        None,
        object(),
        {1, 2},
        np.array(5.0),
        np.zeros(3, complex),
        np.zeros(3, "M8[s]"),
        pd.Series([1.0]),
        pl.LazyFrame({"a": [1]}),
        [[object()]],
        [[b"bytes"]],
        [np.zeros(2), np.zeros(3)],
        [[float("inf")]],
        {"age": float("-inf")},
        SimpleNamespace(detach=lambda: 1 / 0, cpu=None),
    ],
)
def test_unusable_types_and_values_are_refused(batch: Any) -> None:
    with pytest.raises((TypeError, ValueError, ZeroDivisionError)):
        read(batch, keep_all)


@pytest.mark.parametrize("batch", [[], {}, b"", np.zeros((0, 3)), torch.zeros(0, 3), pd.DataFrame(), {"instances": []}])
def test_an_empty_batch_is_no_observation(batch: Any) -> None:
    assert read(batch, keep_all) is None


@pytest.mark.parametrize(
    "batch",
    [
        np.array(SAMPLES),
        torch.tensor(SAMPLES),
        SAMPLES,
        {"instances": SAMPLES},
        json.dumps({"instances": SAMPLES}).encode(),
    ],
)
def test_only_selected_samples_are_kept(batch: Any) -> None:
    chosen = read(batch, lambda _: [1], "application/json")
    assert chosen is not None
    np.testing.assert_array_equal(decoded([chosen], VECTOR), SAMPLES[1:])
    assert read(batch, lambda _: [], "application/json") is None


@pytest.mark.parametrize(
    "make", [list, pd.DataFrame, pl.DataFrame, pa.Table.from_pylist, lambda rows: json.dumps(rows).encode()]
)
def test_only_selected_rows_are_kept(make: Callable[[Any], Any]) -> None:
    chosen = read(make(ROWS), lambda _: [1], "application/json")
    assert chosen is not None
    np.testing.assert_array_equal(decoded([chosen], TABLE), READ_ROWS[1:])
    assert read(make(ROWS), lambda _: [], "application/json") is None


@pytest.mark.parametrize(
    "batch", [{"age": 1, "city": "Ulm"}, {"age": [1], "city": ["Ulm"]}, [1.0, 2.0, 3.0], np.zeros(3), b"\x93NUMPY"]
)
def test_a_single_sample_counts_as_one(batch: Any) -> None:
    counts: list[int] = []

    def keep_none(count: int) -> list[int]:
        counts.append(count)
        return []

    assert read(batch, keep_none) is None
    assert counts == [1]
