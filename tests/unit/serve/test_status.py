"""The status page's data: bounded, complete, and only what this daemon is responsible for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.serve.comparison import BINS, RECENT, Comparison
from driftwatch.serve.memory import Rate, Ring, Spans
from driftwatch.serve.status import ALERTS, Status, Watched
from driftwatch.serve.stream_status import HISTORY
from driftwatch.stream.alert import Alert, DetectorResult, Effect, HeatMap, OffsetRange, WindowSpan
from driftwatch.stream.events import (
    AlertRaised,
    AlertRecalled,
    BetsMade,
    Calibrated,
    Event,
    IntakeQueued,
    LagMeasured,
    PartitionsHeld,
    ReferenceInUse,
    SamplesScored,
    StreamPaced,
    StreamQuiet,
    StreamsHeld,
    StreamState,
)
from driftwatch.stream.quiet_alert import QuietAlert
from tests.windows import window_tested

WATCHED = Watched(("a", "b"), (50,), ("score", "test"))
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
    since_ms=2_000,
)
RESOLVED = replace(ALERT, id="2", state="resolved", window=WindowSpan(50, 50, 8_000, 9_000, ()), heat_map=None)


def status_of(*events: Event, stream: str | None = None, watched: Watched = WATCHED) -> dict[str, Any]:
    status = Status(watched)
    for event in events:
        status(event)
    found: dict[str, Any] = orjson.loads(orjson.dumps(status.to_json(stream)))
    return found


def test_the_status_shows_what_happened() -> None:
    scores = np.linspace(1, 10, 200)
    page = status_of(
        ReferenceInUse("a", "r", "v", scores),
        Calibrated("a", 1e6, (2e5, 5e6), satisfiable=False),
        SamplesScored("a", np.array([2.0, 30.0]), 1_500),
        window_tested(),
        BetsMade("a", 3.0, 7.0),
        AlertRaised(ALERT),
        StreamState("a", True, 1e-6, "critical", 2_000),
    )
    first, second = page["streams"]
    assert (first["name"], first["state"], first["severity"], first["since_ms"]) == ("a", "drift", "critical", 2_000)
    assert (first["samples"], first["threshold"], first["windows"]["50"]["p_value"]) == (2, 1e-6, 1e-9)
    assert (second["name"], second["state"], second["firing"]) == ("b", "waiting", None)
    detail = page["detail"]
    assert detail["windows"]["50"]["p_value"] == detail["day"]["50"]["p_value"] == [1e-9]
    assert detail["periods"] == [{"start_ms": 2_000, "end_ms": None}]
    assert detail["moved"]["blocks"] == [
        {
            "name": "coarse",
            "location": {"nats": 0.5, "deviations": 11.0},
            "scale": {"nats": 1.5, "deviations": 12.0},
            "dependence": {"nats": 2.5, "deviations": 13.0},
        }
    ]
    assert detail["moved"]["groups"][0] == {
        "name": "spectrum",
        "words": "detail changed at some scale",
        "deviations": 7.0,
    }
    assert (detail["scores"]["samples"], detail["scores"]["beyond_tail"]) == (2, 0.5)
    assert detail["bets"] == {"log_wealth": 3.0, "limit": 7.0}
    assert detail["budget"] == {"samples": 1e6, "interval": [2e5, 5e6], "satisfiable": False}
    (alert,) = page["alerts"]
    assert (alert["explanation"], alert["since"]) == (ALERT.explanation, "1970-01-01T00:00:02.000Z")
    assert alert["heat_map"]["values"] == [[0.5, 0.0, -0.1], [0.0, 0.0, 0.0]]


def test_a_silent_stream_is_not_green_and_a_slow_one_has_a_remark() -> None:
    silent = QuietAlert("q", "a", "firing", "warning", 1_500, 9_000, 5_000, "in", 0, 3)
    events = (StreamState("a", False, 1e-6), StreamQuiet("a", 1_500), AlertRaised(silent), AlertRaised(ALERT))
    page = status_of(*events)
    assert (page["streams"][0]["state"], page["streams"][0]["quiet_since_ms"]) == ("quiet", 1_500)
    assert [(each["kind"], each["stream"]) for each in page["alerts"]] == [("quiet", "a"), ("drift", "a")]
    assert status_of(*events, StreamState("a", True, 1e-6))["streams"][0]["state"] == "drift"
    assert status_of(*events, StreamQuiet("a", None))["streams"][0]["state"] == "ok"
    assert status_of(*events, StreamsHeld(frozenset()))["streams"][0]["state"] == "elsewhere"
    paced = (Calibrated("a", 1e6, (2e5, 5e6), satisfiable=True), StreamPaced("a", 20 / 86_400))
    late, rare = status_of(*paced)["streams"][0]["remarks"]
    assert late == "at 20 samples a day a window of 50 is full after 2.5 days: drift is reported as late"
    assert "one in 137 years" in rare
    assert status_of(*paced, StreamPaced("a", 10.0))["streams"][0]["remarks"] == []


def test_an_alarm_that_waits_for_usual_windows_says_so() -> None:
    fires, settled = StreamState("a", True, 1e-6, "warning", 2_000), window_tested(p_value=0.05, drift=False)

    def remarks(*events: Event) -> list[str]:
        found: list[str] = status_of(fires, *events)["streams"][0]["remarks"]
        return found

    (remark,) = remarks(settled)
    assert remark.startswith("nothing drifts at present; the alarm ends once all windows look like the reference")
    assert remarks(settled, BetsMade("a", 3.0, 7.0)) == [remark]
    assert remarks() == remarks(window_tested()) == remarks(settled, window_tested(size=500)) == []
    assert remarks(settled, BetsMade("a", 7.5, 7.0)) == [], "the anytime alarm is on"
    assert remarks(settled, StreamState("a", False, 1e-6)) == []


def test_a_drifting_stream_is_shown_first_unless_another_is_requested() -> None:
    events = (StreamState("a", False, 1e-6), StreamState("b", True, 1e-6, "info", 1))
    assert status_of()["detail"]["stream"] == "a"
    assert status_of(*events)["detail"]["stream"] == "b"
    assert status_of(*events, stream="a")["detail"]["stream"] == "a"
    assert status_of(*events, stream="neither")["detail"] is None
    assert status_of(watched=Watched())["detail"] is None


def test_each_window_records_whether_the_alarm_was_on() -> None:
    on, off = StreamState("a", True, 1e-6, "info", 1_000), StreamState("a", False, 1e-6)
    page = status_of(window_tested(), on, window_tested(), window_tested(), off, window_tested())
    assert page["detail"]["windows"]["50"]["alarm"] == [0, 1, 1, 0]


def test_a_past_alarm_leaves_its_period_and_a_recalled_alert_is_listed_once() -> None:
    page = status_of(
        AlertRecalled(ALERT),
        AlertRecalled(RESOLVED),
        AlertRecalled(RESOLVED),
        StreamState("a", False, 1e-6),
        window_tested(),
    )
    assert page["detail"]["periods"] == [{"start_ms": 2_000, "end_ms": 9_000}]
    assert [alert["state"] for alert in page["alerts"]] == ["resolved", "firing"]


def test_a_stream_that_another_daemon_tests_is_not_reported_here() -> None:
    seen = (window_tested(), StreamState("a", True, 1e-6, "info", 1_000), AlertRaised(ALERT), StreamsHeld(frozenset()))
    page = status_of(*seen)
    first, never = page["streams"]
    assert (first["state"], first["firing"], first["windows"]) == ("elsewhere", None, {})
    assert never["state"] == "waiting"
    assert page["detail"]["periods"] == []
    assert page["detail"]["moved"] is None
    assert status_of(*seen, StreamState("a", False, 1e-6))["streams"][0]["state"] == "ok"


def test_the_newest_sample_is_known_to_a_daemon_that_only_tests() -> None:
    assert status_of(window_tested())["streams"][0]["last_sample_ms"] == 2_000
    assert status_of(window_tested(), SamplesScored("a", np.ones(1), 3_000))["streams"][0]["last_sample_ms"] == 3_000


def test_unconfigured_streams_are_dropped() -> None:
    page = status_of(SamplesScored("x", np.ones(3), 1), StreamState("x", True, 1e-6))
    assert [stream["name"] for stream in page["streams"]] == ["a", "b"]


def test_lag_is_reported_of_the_partitions_held() -> None:
    lags = (LagMeasured("in", 0, 3), LagMeasured("in", 1, 4))
    assert status_of(*lags)["lag"] == {"in": 7}
    assert status_of(*lags, PartitionsHeld("in", frozenset({1})))["lag"] == {"in": 4}
    assert status_of(*lags, PartitionsHeld("in", frozenset()))["lag"] == {}
    assert status_of(IntakeQueued(5, 100))["queued"] == 5


def test_memory_is_bounded() -> None:
    page = status_of(
        ReferenceInUse("a", "r", "v", np.ones(10)),
        *(window_tested(end_ms=i) for i in range(HISTORY + 5)),
        *(AlertRaised(replace(RESOLVED, id=str(i))) for i in range(ALERTS + 5)),
        *(SamplesScored("a", np.ones(RECENT), 1) for _ in range(3)),
    )
    assert page["detail"]["windows"]["50"]["end_ms"] == list(range(5, HISTORY + 5))
    assert len(page["alerts"]) == ALERTS
    assert page["detail"]["scores"]["samples"] == RECENT


def test_nan_and_missing_values_are_null() -> None:
    page = status_of(window_tested(float("nan")), BetsMade("a", 1.0))
    assert page["detail"]["windows"]["50"]["p_value"] == [None]
    assert page["detail"]["bets"]["limit"] is None


@settings(deadline=None)
@given(st.lists(st.floats(-5, 5), max_size=30), st.integers(1, 8))
def test_a_ring_holds_the_last_values(values: list[float], room: int) -> None:
    ring = Ring(("value",), room)
    for value in values:
        ring.add(value)
    assert ring.columns() == {"value": values[-room:]}
    if values:
        assert ring.last() == {"value": values[-1]}


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.floats(0, 1)), min_size=1))
def test_spans_keep_their_lowest_value(values: list[tuple[int, float]]) -> None:
    spans = Spans(10, room=10)
    for value in values:
        spans.add(*value)
    expected = {number: min(p for ms, p in values if ms // 10 == number) for number in {ms // 10 for ms, _ in values}}
    assert spans.columns() == {
        "end_ms": [10 * (number + 1) for number in sorted(expected)],
        "p_value": [expected[number] for number in sorted(expected)],
    }


def test_spans_drop_the_oldest() -> None:
    spans = Spans(10, room=2)
    for ms in (5, 15, 25, 1):
        spans.add(ms, 0.5)
    assert spans.columns()["end_ms"] == [20, 30]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 9)), max_size=40))
def test_a_rate_counts_complete_spans(steps: list[tuple[float, int]]) -> None:
    now = [100.0]
    rate = Rate(5.0, 4, clock=lambda: now[0])
    arrived: dict[int, int] = {}
    for seconds, count in steps:
        now[0] += seconds
        rate.add(count)
        span = int(now[0] // 5)
        arrived[span] = arrived.get(span, 0) + count
    last = int(now[0] // 5)
    expected = [arrived.get(span, 0) for span in range(max(20, last - 3), last)]
    assert rate.counts() == expected
    assert rate.per_second(2) == pytest.approx(sum(expected[-2:]) / (5 * len(expected[-2:]) or 1))


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 700))
def test_two_histograms_have_the_same_bins(held_out: int, arrived: int) -> None:
    rng = np.random.default_rng(held_out)
    comparison = Comparison(rng.gamma(3, 2, held_out))
    comparison.add(rng.gamma(9, 2, arrived))
    found = comparison.to_json()
    assert found is not None
    assert len(found["edges"]) == BINS + 1
    assert sum(found["reference"]) == pytest.approx(1)
    assert sum(found["recent"]) == pytest.approx(1)
    assert found["samples"] == min(arrived, RECENT)
