"""What the daemon says of itself over HTTP: metrics as Prometheus reads them, health, and the status page."""

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
    WindowTested,
)

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
    WindowTested(
        "a",
        50,
        {"combined": 9.0, "kl": 2.0},
        {"combined": 1e-9, "kl": 1e-8},
        {"kl": {"scale": 2.0}},
        2.0,
        2_000,
        True,
        {"coarse": {"scale": 1.5}},
    ),
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
NAMES = (
    'driftwatch_samples_total{stream="a"} 2.0',
    'driftwatch_batches_total{outcome="ok",stream="a"} 1.0',
    'driftwatch_sample_score_bucket{le="1.0",stream="a"} 1.0',
    'driftwatch_window_statistic{detector="kl",part="scale",stream="a",window="50"} 2.0',
    'driftwatch_window_p_value{detector="combined",stream="a",window="50"} 1e-09',
    'driftwatch_window_effect_nats{stream="a",window="50"} 2.0',
    'driftwatch_window_end_timestamp_seconds{stream="a",window="50"} 2.0',
    'driftwatch_window_block_nats{block="coarse",part="scale",stream="a",window="50"} 1.5',
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

    def tell(self, *events: Event) -> None:
        for event in events:
            for observer in (self.metrics, self.health, self.status):
                observer(event)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(self.server.url + path, headers=headers, timeout=10)


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    made.server.start()
    yield made
    made.server.stop()


def test_every_metric_of_the_design_is_there(served: Served) -> None:
    served.tell(*EVENTS)
    told = served.get("/metrics").text
    assert [name for name in NAMES if name not in told] == []
    assert list(families(told))


def test_openmetrics_is_spoken_to_who_asks_for_it(served: Served) -> None:
    served.tell(*EVENTS)
    response = served.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert list(open_families(response.text))


def test_streams_that_nobody_configured_share_one_label(served: Served) -> None:
    served.tell(ReferenceInUse("a", "r", "v"), *(DeadLettered(f"stream {i}", "schema") for i in range(50)))
    assert 'driftwatch_dead_letters_total{reason="schema",stream="unknown"} 50.0' in served.get("/metrics").text


def test_a_new_reference_takes_the_place_of_the_old_one(served: Served) -> None:
    served.tell(ReferenceInUse("a", "r", "v"), ReferenceInUse("a", "r", "w"))
    told = served.get("/metrics").text
    assert 'version="w"' in told
    assert 'version="v"' not in told


def test_what_came_of_a_reload_is_counted_and_a_refusal_remarked_on_until_it_is_mended(served: Served) -> None:
    refused = Reloaded("reference", "refused", "a", "bundles/now: is damaged")
    awaited = ReferenceAwaited("a", "w", waiting=True)
    served.tell(ReferenceInUse("a", "r", "v"), refused, Reloaded("configuration", "unchanged"), awaited)
    told = served.get("/metrics").text
    assert 'driftwatch_reloads_total{outcome="refused",what="reference"} 1.0' in told
    assert 'driftwatch_reference_awaited{stream="a"} 1.0' in told
    assert "stream a: another reference was refused: bundles/now: is damaged" in served.get("/readyz").text
    served.tell(Reloaded("reference", "taken_up", "a"))
    assert "refused" not in served.get("/readyz").text


def test_a_stream_that_is_watched_no_more_is_no_longer_told(served: Served) -> None:
    served.tell(*EVENTS, ReferenceInUse("b", "r", "v"), StreamsConfigured(("b",)))
    told = served.get("/metrics").text
    for name in ("driftwatch_drift{", "driftwatch_window_p_value", "driftwatch_reference_info"):
        assert not [line for line in told.splitlines() if line.startswith(name) and 'stream="a"' in line], name
    assert [stream["name"] for stream in served.get("/api/status").json()["streams"]] == ["b"]


def test_what_another_daemon_has_taken_over_is_no_longer_told(served: Served) -> None:
    of_windows = ("driftwatch_window_", "driftwatch_martingale_", "driftwatch_drift{")
    served.tell(*EVENTS, LagMeasured("in", 1, 3))
    served.tell(StreamsHeld(frozenset({"a"})), PartitionsHeld("in", frozenset({0})))
    told = served.get("/metrics").text
    assert all(any(line.startswith(name) for line in told.splitlines()) for name in of_windows)
    assert 'driftwatch_consumer_lag{partition="0",topic="in"} 7.0' in told
    assert 'partition="1"' not in told
    served.tell(StreamsHeld(frozenset()), PartitionsHeld("in", frozenset()))
    told = served.get("/metrics").text
    assert not any(line.startswith((*of_windows, "driftwatch_consumer_lag{")) for line in told.splitlines())
    assert 'driftwatch_samples_total{stream="a"} 2.0' in told


def test_what_is_counted_starts_at_zero(served: Served) -> None:
    served.metrics.expect_sinks(["webhook"])
    served.tell(ReferenceInUse("a", "r", "v"))
    told = served.get("/metrics").text
    assert 'driftwatch_sink_failures_total{sink="webhook"} 0.0' in told
    assert 'driftwatch_batches_total{outcome="dead_letter",stream="a"} 0.0' in told
    assert 'driftwatch_batches_total{outcome="dead_letter",stream="unknown"} 0.0' in told


def test_a_lost_source_is_told(served: Served) -> None:
    served.tell(Progress("source_connected", "test"), Progress("source_lost", "test", "no route"))
    assert 'driftwatch_source_connected{role="test"} 0.0' in served.get("/metrics").text


def test_ready_when_all_is_and_not_before(served: Served) -> None:
    assert served.get("/readyz").status_code == 503
    served.tell(ReferenceInUse("a", "r", "v"))
    assert "not connected" in served.get("/readyz").text
    served.tell(Progress("source_connected", "score"), Progress("polled", "score"))
    assert served.get("/readyz").status_code == 200
    served.tell(Progress("source_lost", "score", "no route"))
    assert "no route" in served.get("/readyz").text
    assert served.get("/healthz").status_code == 200


def test_a_stalled_role_is_not_ready_and_a_dead_one_not_alive() -> None:
    now = [0.0]
    health = Health(["score"], stall_after_s=60, clock=lambda: now[0])
    health.expect([])
    health(Progress("source_connected", "score"))
    health(Progress("polled", "score"))
    assert health.ready()[0]
    now[0] = 61.0
    fine, told = health.ready()
    assert not fine
    assert "stalled" in str(told)
    assert health.alive()[0]
    health.role_died("score", RuntimeError("gone"))
    assert not health.alive()[0]


def test_the_status_page_asks_for_nothing_from_elsewhere(served: Served) -> None:
    page = served.get("/")
    assert page.status_code == 200
    for file in Path(http.__file__).with_name("static").iterdir():
        text, answer = file.read_text(), served.get(f"/static/{file.name}")
        assert not re.search(r"(src|href)=[\"']?(https?:)?//|@import|fetch\([\"'`]https?:", text), file.name
        assert "innerHTML" not in text, "texts come from messages: they are never HTML"
        for each in (page, answer):
            assert each.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
            assert "unsafe" not in each.headers["content-security-policy"]
            assert each.headers["cache-control"] == "no-cache", "a new version's page must not meet an old one's script"


def test_a_status_that_has_not_changed_is_not_sent_again(served: Served) -> None:
    served.tell(*EVENTS)
    first = served.get("/api/status")
    assert first.headers["content-encoding"] == "gzip"
    again = served.get("/api/status", **{"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "date" in again.headers, "the page reckons ages by the daemon's clock"
    served.tell(StreamState("a", False, 1e-6))
    assert served.get("/api/status", **{"if-none-match": first.headers["etag"]}).status_code == 200


def test_the_status_tells_what_keeps_the_daemon_from_work(served: Served) -> None:
    served.tell(Progress("source_connected", "score"), Progress("source_lost", "score", "no route"))
    health = served.get("/api/status").json()["health"]
    assert health["status"] == "failing"
    assert "no route" in health["checks"]["source"]


def test_a_host_that_is_not_of_this_machine_is_told(served: Served) -> None:
    other = HttpServer("192.0.2.1", 0, served.metrics, served.health, served.status)
    with pytest.raises(
        DriftwatchError, match=r"cannot listen on 192.0.2.1:0: .* \(set server.host to an address of this"
    ):
        other.start()


def test_a_port_in_use_is_told(served: Served) -> None:
    other = HttpServer("127.0.0.1", served.server.port, served.metrics, served.health, served.status)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", served.server.port)) == 0
    with pytest.raises(DriftwatchError, match=r"cannot listen on 127.0.0.1:\d+.*set server.port"):
        other.start()


def test_a_role_that_has_come_to_its_end_is_not_stalled() -> None:
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


def test_what_is_gone_is_told_beside_readiness_and_is_no_reason_against_it() -> None:
    health = Health(["score"], 60.0)
    health.expect([])
    health(Progress("source_connected", "score"))
    for first, count in ((50, 30), (90, 4)):
        health(MessagesGone("requests", 3, first, count, "retention"))
    ready, told = health.ready()
    assert ready
    assert told["remarks"] == ["34 offsets of requests/3 were gone before they were read"]


def test_a_state_that_is_not_kept_is_told_beside_readiness_until_it_is() -> None:
    health = Health(["intake"], 60.0)
    health.expect([])
    health(Progress("source_connected", "intake"))
    health(StateKept("intake.json: the state cannot be kept: No space left on device"))
    ready, told = health.ready()
    assert ready
    assert told["remarks"] == ["intake.json: the state cannot be kept: No space left on device"]
    health(StateKept())
    assert "remarks" not in health.ready()[1]
