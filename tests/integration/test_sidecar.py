"""Samples posted to a daemon beside a model: drift is reported, a kill is survived; or forwarded to Kafka."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from kafka import KafkaConsumer, TopicPartition

from driftwatch.data.codecs import decode, encode
from tests import plain_http
from tests.chaos.intake import run_intake
from tests.daemons import launch_forked
from tests.integration.conftest import Cluster, RunningDaemon, StartDaemon
from tests.synthetic import SCHEMA, shuffled_rows, waves

TOKEN = "a-token-for-tests"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def event(samples: np.ndarray) -> tuple[bytes, dict[str, str]]:
    """A request as KServe's agent posts it, with the content type that the model's client happened to send."""
    return encode(samples, SCHEMA, "json")[0], {
        "content-type": "application/x-www-form-urlencoded",
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-type": "org.kubeflow.serving.inference.request",
        "ce-source": "http://localhost:9081/",
        "ce-inferenceservicename": "waves",
        "traceparent": TRACE,
        "authorization": f"Bearer {TOKEN}",
    }


def post(url: str, samples: np.ndarray, batch: int = 10) -> None:
    with plain_http.Client() as client:
        for start in range(0, len(samples), batch):
            value, headers = event(samples[start : start + batch])
            assert client.post(url, content=value, headers=headers).status_code == 202


def logged(daemon: RunningDaemon, name: str) -> list[dict[str, Any]]:
    return [line for line in daemon.lines() if line["event"] == name]


def test_drift_in_posted_samples_is_reported(bundle: Path, start_daemon: StartDaemon) -> None:
    config = {
        "source": {"kind": "http", "token": TOKEN},
        "streams": [{"name": "waves", "reference": str(bundle)}],
        "windows": {"sizes": [20, 100], "step": 10},
        "sinks": [{"kind": "log"}],
    }
    first = start_daemon(config)
    first.wait_for("readiness", lambda: first.get("/readyz").status_code == 200)
    post(first.url, np.concatenate([waves(100, seed=1), shuffled_rows(waves(60, seed=2))]))
    first.wait_for("an alert", lambda: bool(logged(first, "drift")))
    first.wait_for("all samples", lambda: first.metric("driftwatch_samples_total") == 160)
    assert first.metric('driftwatch_intake_requests_total{outcome="accepted"}') == 16
    assert plain_http.post(first.url, content=b"[]").status_code == 401


def test_a_kill_loses_what_was_in_flight_and_nothing_that_was_saved(timed_bundle: Path, tmp_path: Path) -> None:
    outcome = run_intake(timed_bundle, tmp_path, faults=("kill -9",), seed=2, longest_delay_s=6.0, start=launch_forked)
    assert outcome.kept, outcome
    assert outcome.alerts > 1
    assert 0 < outcome.forgotten < outcome.accepted


def test_a_forwarder_writes_posted_samples_to_a_topic_that_daemons_read(
    cluster: Cluster, start_daemon: StartDaemon
) -> None:
    cluster.create()
    forward = {"bootstrap_servers": [cluster.bootstrap], "topic": cluster.topic}
    daemon = start_daemon({"source": {"kind": "http", "token": TOKEN, "forward": forward}})
    daemon.wait_for("readiness", lambda: daemon.get("/readyz").status_code == 200)
    samples = waves(60, seed=1)
    post(daemon.url, samples, batch=2)
    with plain_http.Client(headers={"authorization": f"Bearer {TOKEN}"}) as client:
        response = {"ce-type": "org.kubeflow.serving.inference.response"}
        assert client.post(daemon.url, content=b"{}", headers=response).status_code == 202
        mirrored = client.post(f"{daemon.url}/v2/models/other/infer", content=encode(samples[:1], SCHEMA, "v2")[0])
        assert mirrored.status_code == 202
    daemon.wait_for("all forwarded", lambda: daemon.metric('driftwatch_batches_total{outcome="ok"') == 31)

    with contextlib.closing(KafkaConsumer(bootstrap_servers=cluster.bootstrap, group_id=None)) as consumer:
        place = TopicPartition(cluster.topic, 0)
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        found: list[Any] = []
        while len(found) < 31:
            for messages in consumer.poll(timeout_ms=10_000).values():
                found += messages
    assert len(found) == 31
    headers = dict(found[0].headers)
    assert headers["content-type"] == b"application/json"
    assert headers["ce_inferenceservicename"] == b"waves"
    assert headers["traceparent"] == TRACE.encode()
    assert not any(TOKEN.encode() in value for _, value in found[0].headers)
    assert [message.key for message in found] == [b"waves"] * 30 + [b"other"]
    read = [decode(message.value, dict(message.headers), SCHEMA) for message in found[:30]]
    np.testing.assert_array_equal(np.concatenate(read), samples)
    assert daemon.stop() < 5.0


def test_messages_that_a_topic_refuses_hold_up_no_others(
    cluster: Cluster, start_daemon: StartDaemon, tmp_path: Path
) -> None:
    cluster.create(**{"message.timestamp.before.max.ms": "3600000"})
    forward = {"bootstrap_servers": [cluster.bootstrap], "topic": cluster.topic}
    state = tmp_path / "state"
    daemon = start_daemon({"source": {"kind": "http", "forward": forward}, "state_dir": str(state)})
    daemon.wait_for("readiness", lambda: daemon.get("/readyz").status_code == 200)
    value, headers = event(waves(2, seed=1))
    with plain_http.Client() as client:
        for number in range(30):
            times = {"ce-time": "2020-01-01T00:00:00Z"} if number % 10 == 5 else {}
            assert client.post(daemon.url, content=value, headers={**headers, **times}).status_code == 202
    daemon.wait_for("all else", lambda: daemon.metric('driftwatch_batches_total{outcome="ok"') == 27)
    assert daemon.metric('driftwatch_dead_letters_total{reason="refused"') == 3
    letters = [orjson.loads(line) for line in (state / "intake.dead-letters.jsonl").read_bytes().splitlines()]
    assert len(letters) == 3
    assert "2020-01-01T00:00:00.000Z is refused by topic" in str(letters[0])
    assert daemon.stop() < 5.0


def test_a_forwarder_without_a_broker_sheds_reports_it_and_delivers_later(
    cluster: Cluster, start_daemon: StartDaemon
) -> None:
    # The topic does not exist yet, which a forwarder treats like a broker that is down.
    source = {"kind": "http", "queue": {"messages": 5}}
    forward = {"bootstrap_servers": [cluster.bootstrap], "topic": cluster.topic}
    daemon = start_daemon({"source": {**source, "forward": forward}})
    with plain_http.Client() as client:
        statuses = [client.post(daemon.url, content=b"[[1]]").status_code for _ in range(8)]
        assert statuses == [202] * 5 + [429] * 3
    assert daemon.metric('driftwatch_intake_requests_total{outcome="shed"}') == 3
    ready = daemon.get("/readyz")
    assert ready.status_code == 503
    daemon.wait_for("a reason", lambda: "no topic" in daemon.get("/readyz").text)
    assert daemon.get("/healthz").status_code == 200
    cluster.create()
    daemon.wait_for("all forwarded", lambda: daemon.metric('driftwatch_batches_total{outcome="ok"') == 5)
    daemon.wait_for("readiness", lambda: daemon.get("/readyz").status_code == 200)
    assert daemon.stop() < 5.0
