"""The daemon's HTTP interface: metrics as Prometheus reads them, health, and the status page."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from driftwatch.errors import DriftwatchError
from driftwatch.serve import http
from driftwatch.serve.health import Health
from driftwatch.serve.http import HttpServer
from driftwatch.serve.metrics import Metrics
from driftwatch.serve.status import Status
from driftwatch.stream.alert import Alert, DetectorResult, Effect, HeatMap, OffsetRange, WindowSpan
from driftwatch.stream.events import (
    AlertRaised,
    BatchSeen,
    BetsMade,
    Calibrated,
    DeadLettered,
    Event,
    LagMeasured,
    MessagesGone,
    PartitionsHeld,
    Progress,
    ReferenceAwaited,
    ReferenceInUse,
    Reloaded,
    SamplesScored,
    SinkDelivered,
    SinkFailed,
    StageTimed,
    StateKept,
    StreamPaced,
    StreamQuiet,
    StreamsConfigured,
    StreamsHeld,
    StreamState,
)
from tests import plain_http
from tests.windows import window_tested

ALERT = Alert(
    id="1",
    stream="a",
    state="firing",
    severity="critical",
    effect=Effect(2.0, 1.0, 3.0),
    window=WindowSpan(50, 50, 1_000, 2_000, (OffsetRange("in", 0, 1, 2),)),
    p_value=1e-9,
    detectors=(DetectorResult("kl", 2.0, 1e-9, {}),),
    explanation="<b>fine texture</b> changed",
    reference=("r", "v"),
    heat_map=HeatMap(((0.5, 0.0, -0.1), (0.0, 0.0, 0.0))),
)
EVENTS: tuple[Event, ...] = (
    ReferenceInUse("a", "r", "v"),
    Progress("source_connected", "score"),
    Progress("polled", "score"),
    BatchSeen("a", "ok", 10),
    SamplesScored("a", np.array([1.0, 20.0]), 1_500),
    DeadLettered("unknown", "malformed"),
    window_tested(),
    BetsMade("a", 3.0, 7.0),
    Calibrated("a", 1e6, (2e5, 5e6), satisfiable=False),
    AlertRaised(ALERT),
    StreamState("a", True, 1e-6),
    StreamPaced("a", 0.5),
    StreamQuiet("a", 1_500),
    StageTimed("score", 0.1),
    LagMeasured("in", 0, 7),
    SinkDelivered("webhook"),
    SinkFailed("webhook", "no answer"),
)
SERIES = (
    'driftwatch_samples_total{stream="a"} 2.0',
    'driftwatch_batches_total{outcome="ok",stream="a"} 1.0',
    'driftwatch_sample_score_bucket{le="1.0",stream="a"} 1.0',
    'driftwatch_window_statistic{detector="kl",part="scale",stream="a",window="50"} 2.0',
    'driftwatch_window_p_value{detector="combined",stream="a",window="50"} 1e-09',
    'driftwatch_window_effect_nats{stream="a",window="50"} 2.0',
    'driftwatch_window_end_timestamp_seconds{stream="a",window="50"} 2.0',
    'driftwatch_window_block_nats{block="coarse",part="scale",stream="a",window="50"} 2.0',
    'driftwatch_window_threshold{stream="a"} 1e-06',
    'driftwatch_martingale_log_wealth{stream="a"} 3.0',
    'driftwatch_martingale_log_wealth_limit{stream="a"} 7.0',
    'driftwatch_budget_samples{stream="a"} 1e+06',
    'driftwatch_budget_interval_samples{bound="high",stream="a"} 5e+06',
    'driftwatch_budget_satisfiable{stream="a"} 0.0',
    'driftwatch_source_connected{role="score"} 1.0',
    'driftwatch_last_poll_timestamp_seconds{role="score"} ',
    'driftwatch_drift{stream="a"} 1.0',
    'driftwatch_alerts_total{severity="critical",state="firing",stream="a"} 1.0',
    'driftwatch_stream_quiet{stream="a"} 1.0',
    'driftwatch_window_fill_seconds{stream="a",window="50"} 100.0',
    'driftwatch_dead_letters_total{reason="malformed",stream="unknown"} 1.0',
    'driftwatch_stage_seconds_count{stage="score"} 1.0',
    'driftwatch_consumer_lag{partition="0",topic="in"} 7.0',
    'driftwatch_reference_info{bundle="r",stream="a",version="v"} 1.0',
    'driftwatch_last_sample_timestamp_seconds{stream="a"} 1.5',
    'driftwatch_sink_failures_total{sink="webhook"} 1.0',
)


class Served:
    def __init__(self) -> None:
        self.metrics, self.health = Metrics(sizes=[50]), Health(["score"], stall_after_s=60)
        self.status = Status(clock=lambda: 0.0)
        self.health.expect(["a"])
        self.server = HttpServer("127.0.0.1", 0, self.metrics, self.health, self.status)

    def observe(self, *events: Event) -> None:
        for event in events:
            for observer in (self.metrics, self.health, self.status):
                observer(event)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return plain_http.get(self.server.url + path, headers=headers)


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    made.server.start()
    yield made
    made.server.stop()


def test_every_metric_of_the_design_is_exported(served: Served) -> None:
    served.observe(*EVENTS)
    text = served.get("/metrics").text
    assert [name for name in SERIES if name not in text] == []
    assert list(families(text))


def test_openmetrics_is_served_on_request(served: Served) -> None:
    served.observe(*EVENTS)
    response = served.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert list(open_families(response.text))


def test_unconfigured_streams_share_one_label(served: Served) -> None:
    served.observe(ReferenceInUse("a", "r", "v"), *(DeadLettered(f"stream {i}", "schema") for i in range(50)))
    assert 'driftwatch_dead_letters_total{reason="schema",stream="unknown"} 50.0' in served.get("/metrics").text


def test_a_new_reference_replaces_the_old_one(served: Served) -> None:
    served.observe(ReferenceInUse("a", "r", "v"), ReferenceInUse("a", "r", "w"))
    text = served.get("/metrics").text
    assert 'version="w"' in text
    assert 'version="v"' not in text


def test_reloads_are_counted_and_a_refusal_is_a_remark_until_the_next_success(served: Served) -> None:
    refused = Reloaded("reference", "refused", "a", "bundles/now: is damaged")
    awaited = ReferenceAwaited("a", "w", waiting=True)
    served.observe(ReferenceInUse("a", "r", "v"), refused, Reloaded("configuration", "unchanged"), awaited)
    text = served.get("/metrics").text
    assert 'driftwatch_reloads_total{outcome="refused",what="reference"} 1.0' in text
    assert 'driftwatch_reference_awaited{stream="a"} 1.0' in text
    assert "stream a: another reference was refused: bundles/now: is damaged" in served.get("/readyz").text
    served.observe(Reloaded("reference", "taken_up", "a"))
    assert "refused" not in served.get("/readyz").text


def test_a_stream_that_was_removed_is_no_longer_reported(served: Served) -> None:
    served.observe(*EVENTS, ReferenceInUse("b", "r", "v"), StreamsConfigured(("b",)))
    text = served.get("/metrics").text
    for name in ("driftwatch_drift{", "driftwatch_window_p_value", "driftwatch_reference_info"):
        assert not [line for line in text.splitlines() if line.startswith(name) and 'stream="a"' in line], name
    assert [stream["name"] for stream in served.get("/api/status").json()["streams"]] == ["b"]


def test_streams_and_partitions_taken_over_by_another_daemon_are_no_longer_reported(served: Served) -> None:
    window_metrics = ("driftwatch_window_", "driftwatch_martingale_", "driftwatch_drift{")
    served.observe(*EVENTS, LagMeasured("in", 1, 3))
    served.observe(StreamsHeld(frozenset({"a"})), PartitionsHeld("in", frozenset({0})))
    text = served.get("/metrics").text
    assert all(any(line.startswith(name) for line in text.splitlines()) for name in window_metrics)
    assert 'driftwatch_consumer_lag{partition="0",topic="in"} 7.0' in text
    assert 'partition="1"' not in text
    served.observe(StreamsHeld(frozenset()), PartitionsHeld("in", frozenset()))
    text = served.get("/metrics").text
    assert not any(line.startswith((*window_metrics, "driftwatch_consumer_lag{")) for line in text.splitlines())
    assert 'driftwatch_samples_total{stream="a"} 2.0' in text


def test_counters_start_at_zero(served: Served) -> None:
    served.metrics.expect_sinks(["webhook"])
    served.observe(ReferenceInUse("a", "r", "v"))
    text = served.get("/metrics").text
    assert 'driftwatch_sink_failures_total{sink="webhook"} 0.0' in text
    assert 'driftwatch_batches_total{outcome="dead_letter",stream="a"} 0.0' in text
    assert 'driftwatch_batches_total{outcome="dead_letter",stream="unknown"} 0.0' in text


def test_a_lost_source_is_reported(served: Served) -> None:
    served.observe(Progress("source_connected", "test"), Progress("source_lost", "test", "no route"))
    assert 'driftwatch_source_connected{role="test"} 0.0' in served.get("/metrics").text


def test_ready_once_everything_is(served: Served) -> None:
    assert served.get("/readyz").status_code == 503
    served.observe(ReferenceInUse("a", "r", "v"))
    assert "not connected" in served.get("/readyz").text
    served.observe(Progress("source_connected", "score"), Progress("polled", "score"))
    assert served.get("/readyz").status_code == 200
    served.observe(Progress("source_lost", "score", "no route"))
    assert "no route" in served.get("/readyz").text
    assert served.get("/healthz").status_code == 200


def test_a_stalled_role_is_not_ready_and_a_dead_one_is_not_alive() -> None:
    now = [0.0]
    health = Health(["score"], stall_after_s=60, clock=lambda: now[0])
    health.expect([])
    health(Progress("source_connected", "score"))
    health(Progress("polled", "score"))
    assert health.ready()[0]
    now[0] = 61.0
    fine, detail = health.ready()
    assert not fine
    assert "stalled" in str(detail)
    assert health.alive()[0]
    health.role_died("score", RuntimeError("gone"))
    assert not health.alive()[0]


def test_the_status_page_loads_nothing_from_elsewhere(served: Served) -> None:
    page = served.get("/")
    assert page.status_code == 200
    for file in Path(http.__file__).with_name("static").iterdir():
        text, answer = file.read_text(), served.get(f"/static/{file.name}")
        assert not re.search(r"(src|href)=[\"']?(https?:)?//|@import|fetch\([\"'`]https?:", text), file.name
        assert "innerHTML" not in text, "texts come from messages: they are never HTML"
        for each in (page, answer):
            assert each.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
            assert "unsafe" not in each.headers["content-security-policy"]
            assert each.headers["cache-control"] == "no-cache", "a new page must not be combined with an old script"


def test_a_status_that_has_not_changed_is_not_sent_again(served: Served) -> None:
    served.observe(*EVENTS)
    first = served.get("/api/status")
    assert first.headers["content-encoding"] == "gzip"
    again = served.get("/api/status", **{"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "date" in again.headers, "the page computes ages by the daemon's clock"
    served.observe(StreamState("a", False, 1e-6))
    assert served.get("/api/status", **{"if-none-match": first.headers["etag"]}).status_code == 200


def test_the_status_says_what_keeps_the_daemon_from_working(served: Served) -> None:
    served.observe(Progress("source_connected", "score"), Progress("source_lost", "score", "no route"))
    health = served.get("/api/status").json()["health"]
    assert health["status"] == "failing"
    assert "no route" in health["checks"]["source"]


def test_an_address_of_another_machine_is_reported(served: Served) -> None:
    other = HttpServer("192.0.2.1", 0, served.metrics, served.health, served.status)
    with pytest.raises(
        DriftwatchError, match=r"cannot listen on 192.0.2.1:0: .* \(set server.host to an address of this"
    ):
        other.start()


def test_a_port_in_use_is_reported(served: Served) -> None:
    other = HttpServer("127.0.0.1", served.server.port, served.metrics, served.health, served.status)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", served.server.port)) == 0
    with pytest.raises(DriftwatchError, match=r"cannot listen on 127.0.0.1:\d+.*set server.port"):
        other.start()


def test_a_role_that_has_finished_is_not_stalled() -> None:
    now = [0.0]
    health = Health(["replay"], 60.0, clock=lambda: now[0])
    health.expect(["a"])
    for event in (ReferenceInUse("a", "r", "v"), Progress("source_connected"), Progress("polled")):
        health(event)
    now[0] = 100.0
    assert not health.ready()[0]
    health.role_done("replay")
    health.role_done("sink.log")
    assert health.ready() == (True, {"status": "ok", "checks": dict.fromkeys(health.ready()[1]["checks"], "ok")})


def test_lost_messages_are_a_remark_and_do_not_affect_readiness() -> None:
    health = Health(["score"], 60.0)
    health.expect([])
    health(Progress("source_connected", "score"))
    for first, count in ((50, 30), (90, 4)):
        health(MessagesGone("requests", 3, first, count, "retention"))
    ready, detail = health.ready()
    assert ready
    assert detail["remarks"] == ["34 offsets of requests/3 were gone before they were read"]


def test_an_unsaved_state_is_a_remark_until_it_is_saved() -> None:
    health = Health(["intake"], 60.0)
    health.expect([])
    health(Progress("source_connected", "intake"))
    health(StateKept("intake.json: the state cannot be kept: No space left on device"))
    ready, detail = health.ready()
    assert ready
    assert detail["remarks"] == ["intake.json: the state cannot be kept: No space left on device"]
    health(StateKept())
    assert "remarks" not in health.ready()[1]
