"""A real Alertmanager: firing alerts are shown, grouped, silenced, kept alive over outages, and resolved."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
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
    upkept = AlertmanagerUpkeep(client, streams or ("fashion", "flights"), events.append, saved, tracer)
    stop = threading.Event()
    thread = threading.Thread(target=upkept.run, args=(stop,))
    thread.start()
    try:
        yield upkept
    finally:
        stop.set()
        thread.join()
        client.close()


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAlertmanager]:
    with running_alertmanager(tmp_path_factory.mktemp("alertmanager")) as started:
        yield started


def alerts_of(alertmanager: RealAlertmanager, stream: str) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [each for each in alertmanager.alerts() if each["labels"]["stream"] == stream]


class TestReal:
    def test_an_alert_is_shown_grouped_silenced_and_resolved(self, alertmanager: RealAlertmanager) -> None:
        events: list[Event] = []
        settings = config(alertmanager.url, labels={"team": "vision"}, resend_s=0.5, expires_s=60)
        alert = firing('odd "stream" {é}\\')
        with upkeep(settings, events, streams=(alert.stream, "flights")) as upkept:
            upkept.submit(alert)
            upkept.submit(firing("flights"))
            (shown_alert,) = eventually("alert", alerts_of(alertmanager, alert.stream))
            assert shown_alert["labels"] == {
                "alertname": "ModelInputDrift",
                "stream": alert.stream,
                "severity": "warning",
                "reference": "test",
                "team": "vision",
            }
            assert shown_alert["annotations"]["summary"] == f"WARNING: {alert.stream} drifts, 5.2 nats/sample"
            assert shown_alert["annotations"]["description"] == alert.explanation
            assert shown_alert["annotations"]["p_value"] == "3e-09"
            assert shown_alert["annotations"]["runbook_url"] == LINKS.runbook
            assert shown_alert["generatorURL"].startswith("https://driftwatch.example.com/#stream=odd%20%22stream%22")
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

            upkept.submit(resolved(alert))
            eventually("resolution", lambda: not alerts_of(alertmanager, alert.stream)())
            assert alerts_of(alertmanager, "flights")()
            upkept.submit(resolved(firing("flights")))
            eventually("resolution", lambda: not alerts_of(alertmanager, "flights")())
        assert events.count(SinkDelivered("alertmanager")) == 4
        assert not [event for event in events if isinstance(event, SinkFailed)]

    def test_an_alert_is_shown_beyond_its_expiry_while_it_is_resent(self, alertmanager: RealAlertmanager) -> None:
        # Fifteen times as long as between two messages, of which a slow machine may delay one.
        settings = config(alertmanager.url, resend_s=0.2, expires_s=3.0)
        began = time.monotonic()
        with upkeep(settings, []) as upkept:
            upkept.submit(firing())
            eventually("alert", alerts_of(alertmanager, "fashion"))
            first = alerts_of(alertmanager, "fashion")()[0]

            def later() -> bool:
                # It is always there, and the same one, although each message expires within three seconds.
                (now,) = alerts_of(alertmanager, "fashion")()
                assert (now["startsAt"], now["fingerprint"]) == (first["startsAt"], first["fingerprint"])
                return time.monotonic() - began > 5.0

            eventually("five seconds", later)
        eventually("expiry, once nothing is sent any more", lambda: not alerts_of(alertmanager, "fashion")())

    def test_an_alarm_that_worsens_is_another_series_and_resolves_the_first(
        self, alertmanager: RealAlertmanager
    ) -> None:
        with upkeep(config(alertmanager.url, resend_s=0.2, expires_s=60), []) as upkept:
            mild = firing()
            upkept.submit(mild)
            eventually("alert", alerts_of(alertmanager, "fashion"))
            worse = replace(mild, id="2", severity="critical")
            upkept.submit(worse)
            (shown_alert,) = eventually(
                "one critical alert",
                lambda: (
                    [each["labels"]["severity"] for each in alerts_of(alertmanager, "fashion")()] == ["critical"]
                    and alerts_of(alertmanager, "fashion")()
                ),
            )
            assert shown_alert["annotations"]["summary"].startswith("CRITICAL")
            upkept.submit(resolved(worse))
            eventually("resolution", lambda: not alerts_of(alertmanager, "fashion")())


def test_an_alertmanager_that_was_down_and_forgot_is_sent_alerts_again_and_notifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alertmanager_module, "AWAY_S", 0.0)
    events: list[Event] = []
    with receiver(Answer(200)) as pager, running_alertmanager(tmp_path, pager.url) as alertmanager:
        settings = config(alertmanager.url, resend_s=0.5, expires_s=60)
        alertmanager.stop()
        with upkeep(settings, events) as upkept:
            upkept.submit(firing())
            eventually("failure", lambda: [event for event in events if isinstance(event, SinkFailed)])
            alertmanager.start()
            eventually("alert", alerts_of(alertmanager, "fashion"))
            eventually("page", lambda: pager.received)
            alertmanager.stop()
            alertmanager.start()
            eventually("alert again", alerts_of(alertmanager, "fashion"))
            upkept.submit(resolved(firing()))
            eventually("second page", lambda: orjson.loads(pager.received[-1].body)["status"] == "resolved")
        paged = orjson.loads(pager.received[0].body)
        assert paged["status"] == "firing"
        assert paged["groupLabels"] == {"alertname": "ModelInputDrift", "stream": "fashion"}
    assert events.count(SinkDelivered("alertmanager")) == 2


def test_firing_alerts_are_saved_in_a_file_without_a_topic(tmp_path: Path) -> None:
    saved = tmp_path / "state" / "alertmanager.firing.json"
    with receiver(Answer(200)) as server:
        with upkeep(config(server.url), [], saved) as upkept:
            upkept.submit(firing())
            upkept.submit(firing("flights"))
            upkept.submit(resolved(firing("flights")))
            eventually("post", lambda: server.received)
        before = len(server.received)
        with upkeep(config(server.url), [], saved):
            eventually("post", lambda: len(server.received) > before)
        ends = {each["labels"]["stream"]: each["endsAt"] for each in orjson.loads(server.received[before].body)}
        assert set(ends) == {"fashion", "flights"}
        assert ends["fashion"] > ends["flights"]
    saved.write_text("[{}]")
    with pytest.raises(SinkError, match="delete it to start afresh"), upkeep(config("http://127.0.0.1:9"), [], saved):
        pass


def test_a_state_that_cannot_be_saved_holds_nothing_up_and_is_saved_later(tmp_path: Path) -> None:
    folder, events = tmp_path / "state", list[Event]()
    saved = folder / "alertmanager.firing.json"
    with receiver(Answer(200)) as server, upkeep(config(server.url, resend_s=0.1), events, saved) as upkept:
        folder.write_text("in the way")
        upkept.submit(firing())
        eventually("delivery", lambda: SinkDelivered("alertmanager") in events)
        assert SinkFailed("alertmanager", f"{saved}: File exists") in events
        folder.unlink()
        eventually("file", saved.exists)
        assert orjson.loads(saved.read_bytes())[0]["stream"] == "fashion"
    saved.unlink()
    saved.mkdir()
    with pytest.raises(SinkError, match="cannot be read: Is a directory"), upkeep(config(server.url), [], saved):
        pass


def test_requests_are_authenticated(tmp_path: Path) -> None:
    for credentials, sent in (
        ({"username": "me", "password": "hunter2"}, "Basic bWU6aHVudGVyMg=="),
        ({"bearer_token": "hunter2"}, "Bearer hunter2"),
    ):
        with receiver(Answer(200)) as server, upkeep(config(f"{server.url}/", **credentials), []) as upkept:
            upkept.submit(firing())
            (post,) = eventually("post", lambda server=server: server.received)
        assert post.path == "/hook/api/v2/alerts"
        assert post.headers["authorization"] == sent
        assert "hunter2" not in repr(upkept._client.config)


def test_refusals_are_counted_and_retried() -> None:
    events: list[Event] = []
    with (
        receiver(Answer(400, text="invalid label set"), Answer(200)) as server,
        upkeep(config(server.url, resend_s=30, expires_s=60), events) as upkept,
    ):
        upkept.submit(firing())
        eventually("delivery", lambda: SinkDelivered("alertmanager") in events)
    failed = [event for event in events if isinstance(event, SinkFailed)]
    assert len(failed) == 1
    assert "400 (invalid label set)" in failed[0].error


@pytest.mark.parametrize(("away_s", "failures"), [(alertmanager_module.AWAY_S, 0), (0.0, 2)])
def test_a_short_outage_is_no_failure(monkeypatch: pytest.MonkeyPatch, away_s: float, failures: int) -> None:
    """The alerting rule on failures paged people at night whenever an Alertmanager was upgraded during an alarm."""
    monkeypatch.setattr(alertmanager_module, "AWAY_S", away_s)
    events: list[Event] = []
    with (
        receiver(Answer(503), Answer(503), Answer(200)) as server,
        upkeep(config(server.url, resend_s=30, expires_s=60), events) as upkept,
    ):
        upkept.submit(firing())
        eventually("delivery", lambda: SinkDelivered("alertmanager") in events)
    assert len([event for event in events if isinstance(event, SinkFailed)]) == failures


def test_an_outage_is_over_once_nothing_is_left_to_send(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, events, alert, stop = [1_000.0], list[Event](), firing(), threading.Event()
    stop.set()
    monkeypatch.setattr(alertmanager_module, "time", SimpleNamespace(time=time.time, monotonic=lambda: clock[0]))
    with receiver(Answer(503), Answer(503), Answer(200)) as server:
        client = AlertmanagerClient(config(server.url), "alertmanager", LINKS)
        upkept = AlertmanagerUpkeep(client, ("fashion",), events.append)
        upkept.take(alert, alert.end_ms)
        upkept.run(stop)
        upkept.take(resolved(alert), alert.end_ms - RESOLVED_TOLD_MS)
        upkept.run(stop)
        assert len(server.received) == 1
        clock[0] += 2 * alertmanager_module.AWAY_S
        upkept.submit(firing())
        upkept.run(stop)
        upkept.run(stop)
        client.close()
    assert not [event for event in events if isinstance(event, SinkFailed)]
    assert events.count(SinkDelivered("alertmanager")) == 1


def test_a_refused_batch_does_not_keep_others_from_being_sent() -> None:
    streams = tuple(f"stream-{number}" for number in range(BATCH + 10))
    events: list[Event] = []
    with receiver(Answer(400, text="invalid"), Answer(200)) as server:
        settings = config(server.url, resend_s=30, expires_s=60)
        client = AlertmanagerClient(settings, "alertmanager", LINKS)
        upkept = AlertmanagerUpkeep(client, streams, events.append)
        for stream in streams:
            upkept.submit(firing(stream))
        stop = threading.Event()
        stop.set()
        upkept.run(stop)
        client.close()
    assert [len(orjson.loads(post.body)) for post in server.received] == [BATCH, 10]
    assert any(isinstance(event, SinkFailed) for event in events)


def test_no_alert_starts_in_the_future() -> None:
    with (
        receiver(Answer(200)) as server,
        upkeep(config(server.url, resend_s=30, expires_s=60), []) as upkept,
    ):
        # From a broker whose clock is an hour ahead.
        upkept.take(firing(ago_s=-3600), int((time.time() + 3600) * 1000))
        (post,) = eventually("post", lambda: server.received)
        (shown_alert,) = orjson.loads(post.body)
        assert shown_alert["startsAt"] <= rfc3339(int(time.time() * 1000)) < shown_alert["endsAt"]


def test_the_first_delivery_of_an_alert_is_in_its_trace_and_resends_are_not() -> None:
    announced = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with collector() as endpoint, receiver(Answer(503), Answer(200)) as server:
        tracer = open_tracer(TracingConfig(endpoint=endpoint.url, headers={}))
        settings, events = config(server.url, resend_s=1, expires_s=60), list[Event]()
        with upkeep(settings, events, tracer=tracer) as upkept:
            upkept.submit(replace(firing(), announced_in=announced))
            eventually("a resend", lambda: len(server.received) >= 3)
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

    def test_an_alert_ends_under_the_labels_with_which_it_fired(self, standing: Standing) -> None:
        alert = replace(firing(), reference=("old", "1"))
        now_ms = alert.window.end_ms
        standing.take(alert, now_ms)
        standing.take(replace(resolved(alert), reference=("new", "2")), now_ms)
        (series,) = standing.current(now_ms)
        assert series.labels["reference"] == "old"
        assert series.ends_ms is not None

    def test_an_end_is_sent_for_a_while_and_then_dropped(self, standing: Standing) -> None:
        alert = firing()
        now_ms = alert.window.end_ms + 10_000
        standing.take(alert, now_ms)
        standing.take(resolved(alert), now_ms)
        assert len(standing.current(now_ms + RESOLVED_TOLD_MS - 1)) == 1
        assert standing.current(now_ms + RESOLVED_TOLD_MS) == []

    def test_an_alarm_that_fires_again_has_not_ended(self, standing: Standing) -> None:
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

    def test_unwatched_streams_are_ignored(self, standing: Standing) -> None:
        assert not standing.take(firing("gone"), 0)
        assert standing.current(0) == []
