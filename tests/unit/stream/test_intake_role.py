"""Samples received over HTTP, after the HTTP server: the queue, requests as messages, and the role that scores them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from driftwatch.config import HttpSource
from driftwatch.data.codecs import decode, encode
from driftwatch.data.schema import VectorSchema
from driftwatch.errors import SourceError
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.alert import Alert, rfc3339
from driftwatch.stream.events import AlertRecalled, BatchSeen, DeadLettered, Event, Progress, StateKept
from driftwatch.stream.intake import IntakeQueue, Posted, event_time_ms, record_of
from driftwatch.stream.intake_role import IntakeRole
from driftwatch.stream.reading import Route
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.standards import Standards
from tests.full_disk import full_disk
from tests.synthetic import SCHEMA, shuffled_rows, waves

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


def posted(value: bytes, headers: dict[str, str] | None = None, model: str = "") -> Posted:
    pairs = tuple((name.encode(), text.encode()) for name, text in (headers or {}).items())
    return Posted(value, pairs, model, ARRIVED_MS)


def record(value: bytes, headers: dict[str, str] | None = None, model: str = "", **more: Any) -> Any:
    return record_of(posted(value, headers, model), 7, **{"source": IGNORING, "stream": None, **more})


class TestRecord:
    def test_attributes_have_the_same_names_as_in_kafka(self) -> None:
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
    def test_bodies_are_recognised_by_content_not_by_label(self, label: str, form: str, content_type: bytes) -> None:
        batch, schema = np.array([[1.0, 2.0, 3.0]]), VectorSchema(dim=3)
        found = record(encode(batch, schema, form)[0], {"content-type": label})
        assert found.header["content-type"] == content_type
        np.testing.assert_array_equal(decode(found.value, found.header, schema), batch)

    def test_an_unknown_specific_label_is_kept(self) -> None:
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
        self, headers: dict[str, str], model: str, stream: str | None, key: bytes | None
    ) -> None:
        assert record(JSON, headers, model, stream=stream).key == key

    def test_structured_events_are_read_for_their_attributes(self) -> None:
        event = {name.removeprefix("ce-"): value for name, value in EVENT.items()} | {"data": [[1, 2, 3]]}
        headers = {"content-type": "application/cloudevents+json; charset=utf-8"}
        found = record(orjson.dumps(event), headers)
        assert (found.key, found.timestamp_ms) == (b"fashion", 1_767_225_600_123)
        assert decode(found.value, found.header, VectorSchema(dim=3)).tolist() == [[1, 2, 3]]
        assert record(orjson.dumps(event | {"type": RESPONSE["ce-type"]}), headers) is None
        assert record(b"{", headers).key is None

    def test_responses_are_ignored_or_have_their_own_stream(self) -> None:
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
    def test_an_invalid_time_is_replaced_by_that_of_arrival(self, time: str) -> None:
        assert event_time_ms(time, ARRIVED_MS) == ARRIVED_MS

    def test_a_time_before_the_first_year_is_limited(self) -> None:
        assert rfc3339(event_time_ms("0001-01-01T00:00:00+14:00", ARRIVED_MS)) == "0001-01-01T00:00:00.000Z"


class TestQueue:
    def test_wakes_a_waiting_reader(self) -> None:
        queue = IntakeQueue(10, 1_000)
        message = posted(JSON)
        threading.Timer(0.05, lambda: queue.claim(message.size) and queue.put(message)).start()
        assert queue.take(30) == [message]
        threading.Timer(0.05, queue.close).start()
        assert queue.take(30) == []

    def test_a_closed_queue_gives_its_messages_and_accepts_none(self) -> None:
        queue = IntakeQueue(10, 1_000)
        message = posted(JSON)
        assert queue.claim(message.size)
        assert queue.put(message)
        queue.close()
        assert not queue.put(message)
        assert queue.take(0) == [message]

    def test_gives_a_limited_number_at_a_time(self) -> None:
        queue = IntakeQueue(1_000, 1 << 20)
        for _ in range(300):
            assert queue.claim(1)
            assert queue.put(posted(b"1"))
        assert [len(queue.take(0)) for _ in range(3)] == [256, 44, 0]
        assert queue.depth().bytes == 0


FACTORY = Standards(sizes=[20], step=10, budget=1e4, min_effect=0, resolve_after=3, severity={"warning": 0.0})


class Run:
    """A role with a small reference, run until the queue is empty."""

    def __init__(self, reference: Reference, state_dir: Path | None) -> None:
        self.events: list[Event] = []
        self.alerts: list[Alert] = []
        self.queue = IntakeQueue(10_000, 1 << 30)
        FACTORY.procedure(reference)  # calibrates once, beforehand: a stopping role has no time for it
        self.role = IntakeRole(
            IGNORING,
            self.queue,
            ScoreStage({"waves": Route("waves", Scorer(reference))}, 10),
            lambda stream, version: FACTORY.standard(reference) if stream == "waves" else None,
            streams=("waves",),
            on_alert=self.alerts.append,
            observer=self.events.append,
            state_dir=state_dir,
        )

    def post(self, value: bytes, headers: dict[str, str] | None = None) -> None:
        message = posted(value, headers)
        assert self.queue.claim(message.size)
        assert self.queue.put(message)

    def post_samples(self, samples: np.ndarray, batch: int = 5) -> None:
        for start in range(0, len(samples), batch):
            self.post(encode(samples[start : start + batch], SCHEMA, "npy")[0])

    def finish(self) -> None:
        """Run it with a stop requested: queued messages are scored nevertheless."""
        stop = threading.Event()
        stop.set()
        self.role.run(stop)

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)


def test_a_stopped_role_scores_queued_messages_and_its_successor_continues(
    reference: Reference, tmp_path: Path
) -> None:
    first, second = Run(reference, tmp_path), Run(reference, tmp_path)
    first.post_samples(waves(50, seed=3))
    first.post_samples(shuffled_rows(waves(40, seed=4)))
    first.finish()
    assert [alert.state for alert in first.alerts] == ["firing"]
    assert first.queue.closed
    assert any(isinstance(event, Progress) and event.kind == "source_connected" for event in first.events)
    # The second knows that the alarm is on: it does not report the continuing drift again, but its end.
    second.post_samples(shuffled_rows(waves(20, seed=5)))
    second.post_samples(waves(100, seed=6))
    second.finish()
    assert [alert.state for alert in second.alerts] == ["resolved"]
    (before,), (after,) = first.alerts[0].window.offsets, second.alerts[0].window.offsets
    assert before.last < after.first, "no offset is used twice"
    recalled = [event.alert for event in second.events if isinstance(event, AlertRecalled)]
    assert [(alert.id, alert.examples) for alert in recalled] == [(first.alerts[0].id, None)]


def test_a_full_disk_holds_up_nothing_and_leaves_the_previous_state(reference: Reference, tmp_path: Path) -> None:
    calm = Run(reference, tmp_path)
    calm.post_samples(waves(50, seed=3))
    calm.finish()
    drifting = Run(reference, tmp_path)
    drifting.post_samples(shuffled_rows(waves(40, seed=4)))
    with full_disk(100), pytest.raises(SourceError, match=r"intake\.json: the state cannot be kept: File too large"):
        drifting.finish()
    assert [alert.state for alert in drifting.alerts] == ["firing"]
    assert [bool(event.trouble) for event in drifting.events if isinstance(event, StateKept)] == [True]
    assert [path.name for path in tmp_path.iterdir()] == ["intake.json"]
    again = Run(reference, tmp_path)
    again.post_samples(shuffled_rows(waves(40, seed=4)))
    again.finish()
    assert [alert.effect for alert in again.alerts] == [alert.effect for alert in drifting.alerts]


def test_unusable_messages_are_kept_with_their_reason(reference: Reference, tmp_path: Path) -> None:
    run = Run(reference, tmp_path)
    run.post(b"rubbish", {"content-type": "application/json"})
    run.post(b'{"instances": [[1, 2]]}', {"driftwatch-stream": "of nobody"})
    run.post(b'{"specversion": "1.0", "type": "%s"}' % RESPONSE["ce-type"].encode(), {"content-type": "a/b+json"})
    run.post_samples(waves(10))
    run.finish()
    lines = [orjson.loads(line) for line in (tmp_path / "intake.dead-letters.jsonl").read_bytes().splitlines()]
    assert [line["reason"] for line in lines] == ["malformed", "unknown_stream", "empty"]
    assert lines[1]["error"].startswith("belongs to no configured stream: 'of nobody' (")
    assert lines[1]["error"].endswith(" to a configured one: waves)")
    assert (lines[0]["value"], lines[0]["headers"]) == ("cnViYmlzaA==", {"content-type": "application/json"})
    assert (tmp_path / "intake.dead-letters.jsonl").stat().st_mode & 0o077 == 0
    assert run.count(DeadLettered) == 3
    assert [event for event in run.events if isinstance(event, BatchSeen)][-1] == BatchSeen("waves", "ok", 5)


def test_without_a_state_folder_nothing_is_written(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run(reference, None)
    run.post(b"rubbish")
    run.post_samples(waves(30))
    run.finish()
    assert run.count(DeadLettered) == 1
    assert list(tmp_path.iterdir()) == []
