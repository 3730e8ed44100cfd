"""Alerts refer to the farthest and nearest samples of a window; samples themselves are included only if allowed."""

from __future__ import annotations

import base64
import io
from collections import deque

import numpy as np
import orjson
import pytest
from PIL import Image

from driftwatch.data.codecs import encode
from driftwatch.data.previews import MOST_BYTES, preview
from driftwatch.data.schema import Column, ImageSchema, TableSchema, VectorSchema
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.sums import keep
from driftwatch.stream.alert import decode_alert, encode_alert
from driftwatch.stream.examples import Candidate, ExampleRule, candidates
from driftwatch.stream.log import Record
from driftwatch.stream.pane_codec import decode_pane, encode_pane
from driftwatch.stream.panes import Pane, examples_of
from driftwatch.stream.reading import Route
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.test_stage import Tests, TestStage
from tests.standards import STEP, standards_of
from tests.synthetic import SCHEMA, shuffled_rows, waves

BATCH = 7
ALLOWED = ExampleRule(count=2, include_samples=True)


def panes_of(reference: Reference, samples: np.ndarray, rule: ExampleRule) -> list[Pane]:
    """Panes of messages of seven samples, made by the score stage, encoded and decoded."""
    stage = ScoreStage({"a": Route("a", Scorer(reference))}, STEP, examples=rule)
    records = []
    for offset, start in enumerate(range(0, len(samples), BATCH)):
        value, headers = encode(samples[start : start + BATCH], SCHEMA, "npy")
        records.append(Record("input", 3, offset, 1_000 + offset, b"a", value, tuple(headers.items())))
    queue, panes = deque(records), list[Pane]()
    while queue:
        panes += stage.work(queue).panes
    return [decode_pane(encode_pane(pane)) for pane in panes]


def alerts_of(reference: Reference, panes: list[Pane], rule: ExampleRule) -> Tests:
    standard = standards_of([20], examples=rule).standard(reference)
    tests, stage = Tests(), TestStage(lambda stream, version: standard)
    for offset, pane in enumerate(panes):
        stage.feed(offset, pane, tests)
    return tests


@pytest.fixture(scope="module")
def stream() -> np.ndarray:
    return np.concatenate([waves(100, seed=31), shuffled_rows(waves(60, seed=32)), waves(100, seed=33)])


def png(sample: dict[str, str]) -> np.ndarray:
    assert sample["media_type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(sample["base64"]))))


def test_examples_are_the_extremes_of_the_window(reference: Reference, stream: np.ndarray) -> None:
    (alert, *_) = alerts_of(reference, panes_of(reference, stream, ALLOWED), ALLOWED).alerts
    assert alert.examples is not None
    end = alert.window.offsets[0].last * BATCH + BATCH
    end -= end % STEP
    scores = Scorer(reference)([stream[end - 20 : end]])[0].scores
    for found, order in ((alert.examples.farthest, np.argsort(-scores)), (alert.examples.nearest, np.argsort(scores))):
        assert [each.offset * BATCH + each.row - (end - 20) for each in found] == order[:2].tolist()
        for each, i in zip(found, order[:2].tolist(), strict=True):
            assert each.score == scores[i]
            np.testing.assert_array_equal(png(each.sample), stream[end - 20 + i, 0])


def test_samples_are_not_included_by_default(reference: Reference, stream: np.ndarray) -> None:
    panes = panes_of(reference, stream, ExampleRule())
    assert all(each.sample is None for pane in panes for each in pane.candidates)
    for alert in alerts_of(reference, panes, ExampleRule()).alerts:
        assert b'"sample":' not in encode_alert(alert)
        assert b"base64" not in encode_alert(alert)


def test_the_test_role_must_allow_samples_too(reference: Reference, stream: np.ndarray) -> None:
    alerts = alerts_of(reference, panes_of(reference, stream, ALLOWED), ExampleRule()).alerts
    assert alerts[0].examples is not None
    assert b'"sample":' not in encode_alert(alerts[0])


def test_there_are_no_examples_if_none_are_wanted(reference: Reference, stream: np.ndarray) -> None:
    panes = panes_of(reference, stream, ExampleRule(count=0, include_samples=True))
    assert all(pane.candidates == () for pane in panes)
    alerts = alerts_of(reference, panes, ExampleRule()).alerts
    assert "examples" not in orjson.loads(encode_alert(alerts[0]))["data"]


def test_alerts_with_examples_are_decoded_unchanged(reference: Reference, stream: np.ndarray) -> None:
    alerts = alerts_of(reference, panes_of(reference, stream, ALLOWED), ALLOWED).alerts
    assert [alert.state for alert in alerts] == ["firing", "resolved"]
    assert [decode_alert(encode_alert(alert)) for alert in alerts] == alerts
    data = [orjson.loads(encode_alert(alert))["data"] for alert in alerts]
    assert [{"heat_map", "examples"} & set(each) for each in data] == [{"heat_map", "examples"}, set()]


def test_examples_change_no_id_and_no_result(reference: Reference, stream: np.ndarray) -> None:
    one, other = (alerts_of(reference, panes_of(reference, stream, rule), rule) for rule in (ALLOWED, ExampleRule(0)))
    assert [alert.id for alert in one.alerts] == [alert.id for alert in other.alerts]
    assert [each.to_json() for each in one.windows] == [each.to_json() for each in other.windows]


def test_of_equal_samples_the_first_is_taken(reference: Reference) -> None:
    rule = ExampleRule(count=1)

    found = candidates(rule, np.ones(4), lambda i: (0, i), np.zeros((4, 1, 8, 8)), SCHEMA)
    assert [each.mark for each in found] == [(0, 0)]
    pane = Pane("a", reference.version, 4, keep(np.zeros(1)), 0, 1, "input", 0, (0, 0), (0, 3), found)
    examples = examples_of([pane], rule)
    assert examples is not None
    assert examples.farthest == examples.nearest


def test_a_pane_of_an_older_writer_has_no_candidates() -> None:
    pane = Pane("a", "v", 4, keep(np.ones(3)), 0, 1, "input", 0, (0, 0), (0, 3), (Candidate(1.5, (0, 2), {"x": None}),))
    assert decode_pane(encode_pane(pane)).candidates == pane.candidates
    line, _, numbers = encode_pane(pane).partition(b"\n")
    head = {name: value for name, value in orjson.loads(line).items() if name != "candidates"}
    assert decode_pane(orjson.dumps(head) + b"\n" + numbers).candidates == ()


def test_rows_are_shown_by_column_name() -> None:
    columns = (Column(name="age", kind="numeric"), Column(name="region", kind="category", categories=("n", "s")))
    schema = TableSchema(columns=columns)
    assert preview(np.array([np.nan, 1.0]), schema) == {"age": None, "region": "s"}
    assert preview(np.array([0.5, -2.0]), VectorSchema(dim=2)) == [0.5, -2.0]


def test_the_size_of_a_sample_is_bounded() -> None:
    rng = np.random.default_rng(0)
    large = ImageSchema(channels=3, height=300, width=400)
    image_preview = preview(rng.integers(0, 256, large.shape).astype(np.float32), large)
    assert len(image_preview["base64"]) <= MOST_BYTES
    height, width, channels = png(image_preview).shape
    assert (width / height, channels) == (pytest.approx(4 / 3, abs=0.05), 3)
    assert preview(rng.standard_normal(10_000), VectorSchema(dim=10_000)) is None
    assert preview(np.zeros((2, 4, 4)), ImageSchema(channels=2, height=4, width=4)) is None


def test_float_images_are_scaled_to_the_reference_s_range() -> None:
    schema = ImageSchema(channels=1, height=1, width=3, dtype="float32", low=-1.0, high=1.0)
    assert png(preview(np.array([[[-1.0, 0.0, 3.0]]]), schema)).tolist() == [[0, 128, 255]]
