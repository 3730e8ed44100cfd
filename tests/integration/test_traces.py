"""One trace from the sender of a sample to the receiver of the alert, through a forwarder, a real broker and a sink."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from driftwatch.data.codecs import encode
from tests import plain_http
from tests.collector import CollectedSpan, Collector, collector
from tests.integration.conftest import Cluster, StartDaemon
from tests.receiver import receiver
from tests.synthetic import SCHEMA, shuffled_rows, waves

BATCH = 10


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector; daemons inherit the environment, by which they send it their spans soon."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with collector() as running:
        yield running


def trace(number: int) -> str:
    return f"{number + 1:032x}"


def sender(number: int) -> str:
    return f"{number + 1:016x}"


def messages(samples: np.ndarray, first: int = 0) -> list[tuple[bytes, dict[str, bytes]]]:
    """Messages, each with its own trace."""
    sent_messages = []
    for number, start in enumerate(range(0, len(samples), BATCH), first):
        value, headers = encode(samples[start : start + BATCH], SCHEMA, "npy")
        context = f"00-{trace(number)}-{sender(number)}-01".encode()
        sent_messages.append((value, {**headers, "driftwatch-stream": b"waves", "traceparent": context}))
    return sent_messages


def post(url: str, sent: list[tuple[bytes, dict[str, bytes]]]) -> None:
    with plain_http.Client() as client:
        for value, headers in sent:
            assert client.post(url, content=value, headers=headers).status_code == 202


def watching(bundle: Path, hook: str, endpoint: Collector) -> dict[str, Any]:
    return {
        "streams": [{"name": "waves", "reference": str(bundle)}],
        "windows": {"sizes": [20, 100], "step": 10},
        "sinks": [{"kind": "webhook", "url": hook}],
        "tracing": {"endpoint": endpoint.url},
    }


def by_id(spans: list[CollectedSpan]) -> dict[tuple[str, str], CollectedSpan]:
    return {span.place: span for span in spans}


def test_a_trace_over_http_and_kafka(
    cluster: Cluster, bundle: Path, endpoint: Collector, start_daemon: StartDaemon
) -> None:
    cluster.create()
    calm = messages(waves(60, seed=1))
    drifted = messages(shuffled_rows(waves(60, seed=2)), first=len(calm))
    forward = {"bootstrap_servers": [cluster.bootstrap], "topic": cluster.topic}
    traced = {"endpoint": endpoint.url, "service_name": "sidecar"}
    with receiver() as hook:
        forwarder = start_daemon({"source": {"kind": "http", "forward": forward}, "tracing": traced})
        daemon = start_daemon({"source": cluster.source(), **watching(bundle, hook.url, endpoint)})
        for each in (forwarder, daemon):
            each.wait_for("readiness", lambda each=each: each.get("/readyz").status_code == 200)
        # A new sink reads the alerts topic from the moment when it joined its group.
        cluster.send(calm)
        daemon.wait_for("the calm samples", lambda: daemon.metric("driftwatch_samples_total") == 60)
        post(forwarder.url, drifted)
        endpoint.wait_for("deliver")
        forwarder.stop()
        daemon.stop()
    event = orjson.loads(hook.received[0].body)
    written = [message for message in cluster.read("alerts", bool) if message.value == hook.received[0].body]

    assert {span.service for span in endpoint.spans()} == {"sidecar", "driftwatch"}
    intake_spans, decoded = endpoint.spans("intake"), endpoint.spans("decode")
    assert [span.place[0] for span in intake_spans] == [trace(number) for number in range(6, 12)]
    assert [span.parent for span in intake_spans] == [sender(number) for number in range(6, 12)]
    assert [span.trace for span in decoded] == [trace(number) for number in range(12)]
    assert [span.parent for span in decoded] == [sender(number) for number in range(6)] + [
        span.id for span in intake_spans
    ]
    linked = {link for span in endpoint.spans("forward") for link in span.links}
    assert linked == {span.place for span in intake_spans}

    (alert, *_), (delivered, *_) = endpoint.spans("alert"), endpoint.spans("deliver")
    trigger = next(span for span in intake_spans if span.trace == alert.trace)
    assert event["traceparent"] == trigger.context, "the event carries the context of the sample that triggered it"
    assert alert.parent == trigger.id
    assert (delivered.trace, delivered.parent) == (alert.trace, alert.id)
    assert dict(written[0].headers)["traceparent"] == alert.context.encode()

    # Back from the alert: over links to its test, from there to the scored batches, and to the messages.
    tests, scores = by_id(endpoint.spans("test")), by_id(endpoint.spans("score"))
    (test,) = [tests[link] for link in alert.links if link in tests]
    scored = [scores[link] for link in test.links]
    assert trigger.id in {by_id(decoded)[link].parent for span in scored for link in span.links}
    commits = {span.parent for span in endpoint.spans("commit")}
    assert {test.id, *(span.id for span in scored)} <= commits
    assert not [span for span in endpoint.spans() if span.failed]


def test_a_trace_over_http_alone(bundle: Path, endpoint: Collector, start_daemon: StartDaemon) -> None:
    with receiver() as hook:
        daemon = start_daemon({"source": {"kind": "http"}, **watching(bundle, hook.url, endpoint)})
        daemon.wait_for("readiness", lambda: daemon.get("/readyz").status_code == 200)
        post(daemon.url, messages(np.concatenate([waves(60, seed=1), shuffled_rows(waves(60, seed=2))])))
        endpoint.wait_for("deliver")
        daemon.stop()
    (alert, *_), (delivered, *_) = endpoint.spans("alert"), endpoint.spans("deliver")
    (intake_spans,) = [span for span in endpoint.spans("intake") if span.trace == alert.trace]
    assert intake_spans.parent == sender(int(intake_spans.trace, 16) - 1)
    assert intake_spans.attributes == {"driftwatch.outcome": "accepted", "http.response.status_code": 202}
    assert intake_spans.id in {span.parent for span in endpoint.spans("decode")}
    assert alert.parent == intake_spans.id
    assert (delivered.trace, delivered.parent) == (alert.trace, alert.id)
    assert orjson.loads(hook.received[0].body)["traceparent"] == intake_spans.context


def test_a_missing_collector_is_reported_once_and_holds_nothing_up(
    bundle: Path, start_daemon: StartDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    with receiver() as hook:
        config = watching(bundle, hook.url, Collector(hook)) | {"tracing": {"endpoint": "http://127.0.0.1:9"}}
        daemon = start_daemon({"source": {"kind": "http"}, **config})
        daemon.wait_for("readiness", lambda: daemon.get("/readyz").status_code == 200)
        post(daemon.url, messages(np.concatenate([waves(60, seed=1), shuffled_rows(waves(60, seed=2))])))
        daemon.wait_for("the alert", lambda: bool(hook.received))
        daemon.wait_for("a report", lambda: any("collector" in line["event"] for line in daemon.lines()))
        daemon.stop()
    assert [line["level"] for line in daemon.lines() if line["logger"] != "driftwatch"] == ["warning"]
