"""Alertmanager, a real one: what fires is shown, grouped, silenced, kept up over outages, and resolved."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from driftwatch.alerts import alertmanager as alertmanager_module
from driftwatch.alerts.alertmanager import BATCH, AlertmanagerClient, AlertmanagerUpkeep
from driftwatch.alerts.sample import sample_alert, sample_resolution
from driftwatch.alerts.standing import RESOLVED_TOLD_MS, Standing
from driftwatch.alerts.wording import Links
from driftwatch.config import AlertmanagerSinkConfig, TracingConfig
from driftwatch.errors import SinkError
from driftwatch.stream.alert import Alert, rfc3339
from driftwatch.stream.events import Event, SinkDelivered, SinkFailed
from driftwatch.tracing import UNTRACED, Tracer, open_tracer
from tests.alertmanager import RealAlertmanager, eventually, running_alertmanager
from tests.collector import collector
from tests.receiver import Answer, receiver

LINKS = Links("https://driftwatch.example.com/", "https://wiki.example.com/drift")


def config(url: str, **more: Any) -> AlertmanagerSinkConfig:
    return AlertmanagerSinkConfig.model_validate({"kind": "alertmanager", "url": url, **more})


def firing(stream: str = "fashion", severity: str = "warning", ago_s: float = 5.0) -> Alert:
    return replace(sample_alert(severity, at_ms=int((time.time() - ago_s) * 1000)), stream=stream)


def resolved(alert: Alert) -> Alert:
    ended = sample_resolution(alert)
    end_ms = alert.window.end_ms + 2_000
    return replace(ended, window=replace(ended.window, start_ms=end_ms - 1_000, end_ms=end_ms))


@contextmanager
def upkeep(
    settings: AlertmanagerSinkConfig,
    events: list[Event],
    saved: Path | None = None,
    streams: tuple[str, ...] = (),
    tracer: Tracer = UNTRACED,
) -> Iterator[AlertmanagerUpkeep]:
    client = AlertmanagerClient(settings, "alertmanager", LINKS)
    kept = AlertmanagerUpkeep(client, streams or ("fashion", "flights"), events.append, saved, tracer)
    stop = threading.Event()
    thread = threading.Thread(target=kept.run, args=(stop,))
    thread.start()
    try:
        yield kept
    finally:
        stop.set()
        thread.join()
        client.close()


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAlertmanager]:
    with running_alertmanager(tmp_path_factory.mktemp("alertmanager")) as started:
        yield started


def shown(alertmanager: RealAlertmanager, stream: str) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [each for each in alertmanager.alerts() if each["labels"]["stream"] == stream]


class TestReal:
    def test_an_alert_is_shown_grouped_silenced_and_resolved(self, alertmanager: RealAlertmanager) -> None:
        events: list[Event] = []
        settings = config(alertmanager.url, labels={"team": "vision"}, resend_s=0.5, expires_s=60)
        alert = firing('odd "stream" {é}\\')
        with upkeep(settings, events, streams=(alert.stream, "flights")) as kept:
            kept.submit(alert)
            kept.submit(firing("flights"))
            (told,) = eventually("alert", shown(alertmanager, alert.stream))
            assert told["labels"] == {
                "alertname": "ModelInputDrift",
                "stream": alert.stream,
                "severity": "warning",
                "reference": "test",
                "team": "vision",
            }
            assert told["annotations"]["summary"] == f"WARNING: {alert.stream} drifts, 5.2 nats/sample"
            assert told["annotations"]["description"] == alert.explanation
            assert told["annotations"]["p_value"] == "3e-09"
            assert told["annotations"]["runbook_url"] == LINKS.runbook
            assert told["generatorURL"].startswith("https://driftwatch.example.com/#stream=odd%20%22stream%22")
            grouped = eventually("groups", lambda: len(alertmanager.groups()) >= 2 and alertmanager.groups())
            assert {group["labels"]["stream"] for group in grouped} == {alert.stream, "flights"}

            alertmanager.amtool(
                "silence", "add", "alertname=ModelInputDrift", "stream=flights", "--comment=known", "--author=test"
            )
            silenced = eventually(
                "silence",
                lambda: [each for each in alertmanager.alerts(active="false") if each["status"]["silencedBy"]],
            )
            assert [each["labels"]["stream"] for each in silenced] == ["flights"]

            kept.submit(resolved(alert))
            eventually("resolution", lambda: not shown(alertmanager, alert.stream)())
            assert shown(alertmanager, "flights")()
            kept.submit(resolved(firing("flights")))
            eventually("resolution", lambda: not shown(alertmanager, "flights")())
        assert events.count(SinkDelivered("alertmanager")) == 4
        assert not [event for event in events if isinstance(event, SinkFailed)]

    def test_what_fires_outlives_its_expiry_while_it_is_kept_up(self, alertmanager: RealAlertmanager) -> None:
        settings = config(alertmanager.url, resend_s=0.2, expires_s=0.8)
        began = time.monotonic()
        with upkeep(settings, []) as kept:
            kept.submit(firing())
            eventually("alert", shown(alertmanager, "fashion"))
            first = shown(alertmanager, "fashion")()[0]

            def later() -> bool:
                # Whenever one looks it is there, the same one, although each message expires within a second.
                (now,) = shown(alertmanager, "fashion")()
                assert (now["startsAt"], now["fingerprint"]) == (first["startsAt"], first["fingerprint"])
                return time.monotonic() - began > 2.0

            eventually("two seconds", later)
        eventually("expiry, once nothing is heard any more", lambda: not shown(alertmanager, "fashion")())

    def test_an_alarm_that_worsens_is_another_series_and_ends_the_first(self, alertmanager: RealAlertmanager) -> None:
        with upkeep(config(alertmanager.url, resend_s=0.2, expires_s=60), []) as kept:
            mild = firing()
            kept.submit(mild)
            eventually("alert", shown(alertmanager, "fashion"))
            worse = replace(mild, id="2", severity="critical")
            kept.submit(worse)
            (told,) = eventually(
                "one critical alert",
                lambda: (
                    [each["labels"]["severity"] for each in shown(alertmanager, "fashion")()] == ["critical"]
                    and shown(alertmanager, "fashion")()
                ),
            )
            assert told["annotations"]["summary"].startswith("CRITICAL")
            kept.submit(resolved(worse))
            eventually("resolution", lambda: not shown(alertmanager, "fashion")())


def test_an_alertmanager_that_was_away_and_forgot_is_told_again_and_notifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alertmanager_module, "AWAY_S", 0.0)
    events: list[Event] = []
    with receiver(Answer(200)) as pager, running_alertmanager(tmp_path, pager.url) as alertmanager:
        settings = config(alertmanager.url, resend_s=0.5, expires_s=60)
        alertmanager.stop()
        with upkeep(settings, events) as kept:
            kept.submit(firing())
            eventually("failure", lambda: [event for event in events if isinstance(event, SinkFailed)])
            alertmanager.start()
            eventually("alert", shown(alertmanager, "fashion"))
            eventually("page", lambda: pager.received)
            alertmanager.stop()
            alertmanager.start()
            eventually("alert again", shown(alertmanager, "fashion"))
            kept.submit(resolved(firing()))
            eventually("second page", lambda: orjson.loads(pager.received[-1].body)["status"] == "resolved")
        paged = orjson.loads(pager.received[0].body)
        assert paged["status"] == "firing"
        assert paged["groupLabels"] == {"alertname": "ModelInputDrift", "stream": "fashion"}
    assert events.count(SinkDelivered("alertmanager")) == 2


def test_what_fires_is_kept_in_a_file_where_no_topic_keeps_it(tmp_path: Path) -> None:
    saved = tmp_path / "state" / "alertmanager.firing.json"
    with receiver(Answer(200)) as server:
        with upkeep(config(server.url), [], saved) as kept:
            kept.submit(firing())
            kept.submit(firing("flights"))
            kept.submit(resolved(firing("flights")))
            eventually("post", lambda: server.received)
        before = len(server.received)
        with upkeep(config(server.url), [], saved):
            eventually("post", lambda: len(server.received) > before)
        told = {each["labels"]["stream"]: each["endsAt"] for each in orjson.loads(server.received[before].body)}
        assert set(told) == {"fashion", "flights"}
        assert told["fashion"] > told["flights"]
    saved.write_text("[{}]")
    with pytest.raises(SinkError, match="delete it to start afresh"), upkeep(config("http://127.0.0.1:9"), [], saved):
        pass


def test_a_state_that_cannot_be_kept_holds_nothing_up_and_is_kept_when_it_can_be(tmp_path: Path) -> None:
    folder, events = tmp_path / "state", list[Event]()
    saved = folder / "alertmanager.firing.json"
    with receiver(Answer(200)) as server, upkeep(config(server.url, resend_s=0.1), events, saved) as kept:
        folder.write_text("in the way")
        kept.submit(firing())
        eventually("delivery", lambda: SinkDelivered("alertmanager") in events)
        assert SinkFailed("alertmanager", f"{saved}: File exists") in events
        folder.unlink()
        eventually("file", saved.exists)
        assert orjson.loads(saved.read_bytes())[0]["stream"] == "fashion"
    saved.unlink()
    saved.mkdir()
    with pytest.raises(SinkError, match="cannot be read: Is a directory"), upkeep(config(server.url), [], saved):
        pass


def test_it_says_who_it_is(tmp_path: Path) -> None:
    for given, sent in (
        ({"username": "me", "password": "hunter2"}, "Basic bWU6aHVudGVyMg=="),
        ({"bearer_token": "hunter2"}, "Bearer hunter2"),
    ):
        with receiver(Answer(200)) as server, upkeep(config(f"{server.url}/", **given), []) as kept:
            kept.submit(firing())
            (post,) = eventually("post", lambda server=server: server.received)
        assert post.path == "/hook/api/v2/alerts"
        assert post.headers["authorization"] == sent
        assert "hunter2" not in repr(kept._client.config)


def test_refusals_are_counted_and_tried_again() -> None:
    events: list[Event] = []
    with (
        receiver(Answer(400, text="invalid label set"), Answer(200)) as server,
        upkeep(config(server.url, resend_s=30, expires_s=60), events) as kept,
    ):
        kept.submit(firing())
        eventually("delivery", lambda: SinkDelivered("alertmanager") in events)
    failed = [event for event in events if isinstance(event, SinkFailed)]
    assert len(failed) == 1
    assert "400 (invalid label set)" in failed[0].error


@pytest.mark.parametrize(("away_s", "failures"), [(alertmanager_module.AWAY_S, 0), (0.0, 2)])
def test_to_be_away_for_a_moment_is_no_failure(monkeypatch: pytest.MonkeyPatch, away_s: float, failures: int) -> None:
    """The rule on failures called people at night whenever one was updated while something fired."""
    monkeypatch.setattr(alertmanager_module, "AWAY_S", away_s)
    events: list[Event] = []
    with (
        receiver(Answer(503), Answer(503), Answer(200)) as server,
        upkeep(config(server.url, resend_s=30, expires_s=60), events) as kept,
    ):
        kept.submit(firing())
        eventually("delivery", lambda: SinkDelivered("alertmanager") in events)
    assert len([event for event in events if isinstance(event, SinkFailed)]) == failures


def test_what_is_refused_keeps_nothing_else_from_being_told() -> None:
    streams = tuple(f"stream-{number}" for number in range(BATCH + 10))
    events: list[Event] = []
    with receiver(Answer(400, text="invalid"), Answer(200)) as server:
        settings = config(server.url, resend_s=30, expires_s=60)
        client = AlertmanagerClient(settings, "alertmanager", LINKS)
        kept = AlertmanagerUpkeep(client, streams, events.append)
        for stream in streams:
            kept.submit(firing(stream))
        stop = threading.Event()
        stop.set()
        kept.run(stop)
        client.close()
    assert [len(orjson.loads(post.body)) for post in server.received] == [BATCH, 10]
    assert any(isinstance(event, SinkFailed) for event in events)


def test_nothing_is_told_to_begin_in_the_future() -> None:
    with (
        receiver(Answer(200)) as server,
        upkeep(config(server.url, resend_s=30, expires_s=60), []) as kept,
    ):
        # As of a broker whose clock is an hour ahead.
        kept.take(firing(ago_s=-3600), int((time.time() + 3600) * 1000))
        (post,) = eventually("post", lambda: server.received)
        (told,) = orjson.loads(post.body)
        assert told["startsAt"] <= rfc3339(int(time.time() * 1000)) < told["endsAt"]


def test_each_attempt_to_tell_an_alert_is_in_its_trace_and_what_is_told_again_is_not() -> None:
    announced = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with collector() as endpoint, receiver(Answer(503), Answer(200)) as server:
        tracer = open_tracer(TracingConfig(endpoint=endpoint.url, headers={}))
        settings, events = config(server.url, resend_s=1, expires_s=60), list[Event]()
        with upkeep(settings, events, tracer=tracer) as kept:
            kept.submit(replace(firing(), announced_in=announced))
            eventually("it is told again", lambda: len(server.received) >= 3)
        tracer.close()
        first, second = endpoint.spans("deliver")
    assert [f"00-{span.trace}-{span.parent}-01" for span in (first, second)] == [announced] * 2
    assert first.failed == "answered 503"
    assert second.failed is None


class TestStanding:
    @pytest.fixture
    def standing(self) -> Standing:
        client = AlertmanagerClient(config("http://127.0.0.1:9"), "alertmanager", LINKS)
        return Standing(client.describe, ["fashion"])

    def test_ends_under_the_labels_it_fired_under(self, standing: Standing) -> None:
        alert = replace(firing(), reference=("old", "1"))
        now_ms = alert.window.end_ms
        standing.take(alert, now_ms)
        standing.take(replace(resolved(alert), reference=("new", "2")), now_ms)
        (series,) = standing.current(now_ms)
        assert series.labels["reference"] == "old"
        assert series.ends_ms is not None

    def test_an_end_is_told_for_a_while_and_then_no_more(self, standing: Standing) -> None:
        alert = firing()
        now_ms = alert.window.end_ms + 10_000
        standing.take(alert, now_ms)
        standing.take(resolved(alert), now_ms)
        assert len(standing.current(now_ms + RESOLVED_TOLD_MS - 1)) == 1
        assert standing.current(now_ms + RESOLVED_TOLD_MS) == []

    def test_an_alarm_that_comes_back_has_not_ended(self, standing: Standing) -> None:
        alert = firing()
        for each in (alert, resolved(alert), replace(alert, id="3")):
            standing.take(each, alert.window.end_ms + 10_000)
        (series,) = standing.current(alert.window.end_ms + 10_000)
        assert series.ends_ms is None

    def test_event_times_ahead_of_the_clock_neither_start_nor_end_in_the_future(self, standing: Standing) -> None:
        alert = firing(ago_s=-3600)
        now_ms = alert.window.end_ms - 3_600_000
        standing.take(alert, now_ms)
        standing.take(resolved(alert), now_ms + 5_000)
        (series,) = standing.current(now_ms + 5_000)
        assert (series.starts_ms, series.ends_ms) == (now_ms, now_ms + 5_000)

    def test_a_resolution_without_its_alert_still_ends_the_alert(self, standing: Standing) -> None:
        alert = firing()
        standing.take(resolved(alert), alert.window.end_ms + 10_000)
        (series,) = standing.current(alert.window.end_ms + 10_000)
        assert series.labels["severity"] == "warning"
        assert (series.starts_ms, series.ends_ms) == (alert.window.end_ms, alert.window.end_ms + 2_000)

    def test_streams_that_nobody_watches_are_left_out(self, standing: Standing) -> None:
        assert not standing.take(firing("gone"), 0)
        assert standing.current(0) == []
