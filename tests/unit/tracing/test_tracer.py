"""Spans reach a collector with all their attributes; without a collector, nothing waits."""

from __future__ import annotations

import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest
import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from structlog.testing import capture_logs

from driftwatch.config import TracingConfig
from driftwatch.errors import ConfigError
from driftwatch.tracing import UNTRACED, Tracer, context_of, is_sampled, open_tracer
from tests.collector import Collector, collector
from tests.patience import PATIENCE_S
from tests.receiver import Answer

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = f"{PARENT[:-2]}00"


@pytest.fixture(autouse=True)
def _quick_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")


@contextmanager
def opened(**settings: object) -> Iterator[Tracer]:
    tracer = open_tracer(TracingConfig.model_validate(settings))
    try:
        yield tracer
    finally:
        tracer.close()


def recorded(endpoint: Collector, tracer: Tracer) -> list[str]:
    """Record one span below each kind of parent, and return the names of those that arrive."""
    for parent in ("", PARENT, UNSAMPLED):
        with tracer.span("score" if parent else "test", parent=parent, samples=len(parent)):
            pass
    tracer.close()
    return [span.name for span in endpoint.spans()]


def test_a_span_arrives_with_its_parent_links_and_attributes() -> None:
    with collector() as endpoint, opened(endpoint=endpoint.url, headers={"x-tenant": "me"}) as tracer:
        links = ["", UNSAMPLED, *[f"00-{i:032x}-{i:016x}-01" for i in range(1, 301)], PARENT, PARENT]
        with tracer.span("decode", parent=PARENT, links=links, topic="requests", offset=7) as span:
            span.set(stream="waves")
        (arrived,) = endpoint.wait_for("decode")
    assert endpoint.receiver.received[0].headers["x-tenant"] == "me"
    assert arrived.context == span.context
    assert (arrived.trace, arrived.parent) == tuple(PARENT.split("-")[1:3])
    assert arrived.attributes == {
        "messaging.destination.name": "requests",
        "messaging.kafka.offset": 7,
        "driftwatch.stream": "waves",
    }
    assert len(arrived.links) == 128
    assert set(PARENT.split("-")[1:3]) <= {part for link in arrived.links for part in link}, "the newest are kept"
    assert arrived.service == "driftwatch"
    assert arrived.failed is None


def test_an_error_is_recorded_and_raised() -> None:
    with collector() as endpoint, opened(endpoint=endpoint.url) as tracer:
        with pytest.raises(OSError, match="away"), tracer.span("commit"):
            raise OSError("the broker is away")
        with tracer.span("deliver") as span:
            span.fail("refused")
        assert {span.name: span.failed for span in endpoint.wait_for("", lambda found: len(found) == 2)} == {
            "commit": "the broker is away",
            "deliver": "refused",
        }


def test_the_sender_s_sampling_decision_is_respected_and_the_ratio_applies_to_new_traces() -> None:
    for ratio, expected in ((None, ["test", "score"]), (1.0, ["test", "score"]), (0.0, ["score"])):
        with collector() as endpoint, opened(endpoint=endpoint.url, sample_ratio=ratio) as tracer:
            assert recorded(endpoint, tracer) == expected, ratio


def test_a_context_is_passed_on_even_if_nothing_is_recorded() -> None:
    with opened(sample_ratio=0) as tracer, tracer.span("score") as span:
        assert context_of({"traceparent": span.context.encode()}) == span.context
        assert not is_sampled(span.context)


def test_the_environment_supplies_what_is_not_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as endpoint:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=env")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "camera-watch")
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
        with opened() as tracer:
            assert recorded(endpoint, tracer) == ["score"]
        assert endpoint.spans()[0].service == "camera-watch"
        assert endpoint.receiver.received[0].headers["x-tenant"] == "env"
        endpoint.receiver.received.clear()
        with opened(service_name="stated", sample_ratio=1) as tracer:
            assert recorded(endpoint, tracer) == ["test", "score"]
        assert endpoint.spans()[0].service == "stated"
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert open_tracer(TracingConfig(headers={})) is UNTRACED


@pytest.mark.parametrize("listening", [False, True], ids=["refused", "silent"])
def test_without_a_collector_nothing_waits_and_one_line_is_logged(listening: bool) -> None:
    with socket.socket() as taken, capture_logs() as logs:
        taken.bind(("127.0.0.1", 0))
        if listening:
            taken.listen()
        tracer = open_tracer(TracingConfig(endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}", headers={}))
        pause, began, took = threading.Event(), time.monotonic(), list[float]()
        while not logs or time.monotonic() - began < 1.5:
            assert time.monotonic() - began < 30, "nothing was logged"
            started = time.perf_counter()
            with tracer.span("score"):
                pass
            took.append(time.perf_counter() - started)
            pause.wait(0.001)
        tracer.close()
    assert [line["log_level"] for line in logs] == ["warning"]
    assert statistics.median(took) < 0.002


def test_closing_does_not_wait_for_a_silent_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        tracer = open_tracer(TracingConfig(endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}", headers={}))
        with tracer.span("score"):
            pass
        started = time.monotonic()
        tracer.close()
        assert time.monotonic() - started < PATIENCE_S


def test_an_exporter_that_raises_is_reported_like_one_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(exporter: object, spans: object) -> NoReturn:
        raise requests.ConnectionError("refused")

    monkeypatch.setattr(OTLPSpanExporter, "export", refuse)
    with capture_logs() as logs:
        tracer = open_tracer(TracingConfig(endpoint="http://127.0.0.1:1", headers={}))
        with tracer.span("score"):
            pass
        tracer.close()
    assert [line["log_level"] for line in logs] == ["warning"]


def test_a_collector_that_recovers_is_reported() -> None:
    with (
        collector(Answer(400), Answer(400), Answer(200)) as endpoint,
        capture_logs() as logs,
        opened(endpoint=endpoint.url) as tracer,
    ):
        for count in (1, 2, 3):
            with tracer.span("score"):
                pass
            endpoint.wait_for("score", lambda found, count=count: len(found) == count)  # type: ignore[misc]
        tracer.close()
    assert [line["log_level"] for line in logs] == ["warning", "info"]


def test_tracing_without_the_extra_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "driftwatch.tracing.otlp", None)
    assert open_tracer(None) is UNTRACED
    with pytest.raises(
        ConfigError, match=r"^tracing: traces need OpenTelemetry: .*\(pip install 'driftwatch\[otel\]'\)$"
    ):
        open_tracer(TracingConfig(headers={}))


def test_without_tracing_spans_do_nothing() -> None:
    with open_tracer(None).span("score", parent="", links=["x"], samples=1) as span:
        span.set(stream="a")
        span.fail("")
    assert span is UNTRACED
    assert span.context == ""
