"""The status page in a real browser: it shows a real run's drift, and is accessible to everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Browser

from driftwatch.alerts.wording import Links
from driftwatch.serve.health import Health
from driftwatch.serve.http import HttpServer
from driftwatch.serve.metrics import Metrics
from driftwatch.serve.status import Status, Watched
from driftwatch.stream.alert import Alert, DetectorResult, Effect, HeatMap, OffsetRange, WindowSpan
from driftwatch.stream.events import (
    AlertRaised,
    BetsMade,
    Calibrated,
    DeadLettered,
    Event,
    LagMeasured,
    Progress,
    ReferenceInUse,
    SamplesScored,
    StateKept,
    StreamPaced,
    StreamQuiet,
    StreamState,
    WindowTested,
)
from driftwatch.stream.quiet_alert import QuietAlert
from tests.browser import PHONE, chromium, visit
from tests.integration.conftest import StartDaemon
from tests.synthetic import shuffled_rows, waves
from tests.windows import PARTS, window_tested

NOW_MS = 1_800_000_000_000
HOSTILE = '<img src=x onerror="document.title=1">'
LONG = "a-stream-whose-name-nobody-would-ever-want-to-type-but-somebody-had-a-program-make-it"
ALERT = Alert(
    id="1",
    stream=HOSTILE,
    state="firing",
    severity="critical",
    effect=Effect(2.0, 1.0, 3.0),
    window=WindowSpan(50, 50, NOW_MS, NOW_MS + 59_000, (OffsetRange("requests", 0, 1, 2),)),
    p_value=1e-9,
    detectors=(DetectorResult("kl", 2.0, 1e-9, {}),),
    explanation="<b>fine texture</b> changed",
    reference=("r", "v"),
    heat_map=HeatMap(((0.5, 0.0, -0.1), (0.0, 0.0, 0.0))),
    since_ms=NOW_MS + 59_000,
)


def window(number: int, p_value: float, **changes: Any) -> WindowTested:
    end_ms = NOW_MS + 1_000 * number
    return window_tested(p_value, end_ms=end_ms, drift=p_value < 1e-6, **{"stream": HOSTILE, **changes})


EVENTS: tuple[Event, ...] = (
    Progress("source_connected", "score"),
    Progress("polled", "score"),
    ReferenceInUse(HOSTILE, "r", "v", np.linspace(1, 10, 200)),
    ReferenceInUse(LONG, "r", "v", np.linspace(1, 10, 200)),
    Calibrated(HOSTILE, 1e6, (2e5, 5e6), satisfiable=False),
    LagMeasured("requests", 0, 7),
    SamplesScored(HOSTILE, np.linspace(2, 30, 100), NOW_MS),
    *(window(i, 0.3) for i in range(60)),
    window(60, 1e-30),
    BetsMade(HOSTILE, 3.0, 7.0),
    AlertRaised(ALERT),
    *(AlertRaised(replace(ALERT, id=f"worse {i}")) for i in range(10)),
    StreamState(HOSTILE, True, 1e-6, "critical", NOW_MS + 59_000),
    StreamState(LONG, False, 1e-6),
)


class Served:
    """The servers of a daemon, without the daemon."""

    def __init__(self, watched: Watched, port: int = 0) -> None:
        self.metrics, self.health, self.status = Metrics(), Health(["score"], stall_after_s=600), Status(watched)
        self.health.expect([])
        self.server = HttpServer("127.0.0.1", port, self.metrics, self.health, self.status)

    def observe(self, *events: Event) -> None:
        for event in events:
            self.health(event)
            self.status(event)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def served() -> Iterator[Served]:
    serving = Served(Watched((HOSTILE, LONG), (50,), ("score", "test")))
    serving.observe(*EVENTS)
    serving.server.start()
    yield serving
    serving.server.stop()


def test_the_drift_of_a_real_run_is_shown(
    browser: Browser, bundle: Path, tmp_path: Path, start_daemon: StartDaemon
) -> None:
    stream = np.concatenate([waves(200, seed=11), shuffled_rows(waves(600, seed=12))])
    np.save(tmp_path / "stream.npy", np.concatenate([stream, *[stream[200:]] * 30])[:, 0].astype(np.uint8))
    source = {"kind": "replay", "data": [str(tmp_path / "stream.npy")], "stream": "waves", "batch": 7, "rate": 200}
    daemon = start_daemon(
        {
            "source": source,
            "streams": [{"name": "waves", "reference": str(bundle)}],
            "windows": {"sizes": [20, 100], "step": 10},
            "sinks": [{"kind": "log"}],
        }
    )
    daemon.wait_for("alert", lambda: any(line["event"] == "drift" for line in daemon.lines()))
    with visit(browser, daemon.url) as shown:
        shown.wait_for("document.title === 'DRIFT: waves'")
        alert = next(line for line in daemon.lines() if line["event"] == "drift")
        assert shown.text("#headline").startswith("waves has drifted since ")
        assert "Drift, " in shown.text("#stream-state")
        assert alert["explanation"] in shown.text("#alerts li:last-child")
        shown.wait_for("document.querySelectorAll('#history .firing-cap').length === 1")
        shown.wait_for("document.querySelectorAll('#history path.line').length === 2")
        shown.wait_for("document.querySelectorAll('#moved-tables .notable').length > 2")
        shown.wait_for("/reference: 7/.test(document.getElementById('scores-note').innerText)")
        assert shown.barriers() == []
        before = shown.text("#inspected")
        shown.wait_for(f"document.getElementById('inspected').textContent !== {before!r}")
    with visit(browser, daemon.url, scheme="dark", width=PHONE) as shown:
        shown.wait_for("document.title === 'DRIFT: waves'")
        assert shown.barriers() == []
        assert not shown.scrolls_sideways()


def test_both_colour_schemes_and_all_widths_are_readable(browser: Browser, served: Served) -> None:
    backgrounds = set()
    for scheme in ("light", "dark"):
        with visit(browser, served.server.url, scheme=scheme) as shown:
            for width in (320, PHONE, 830, 1_280, 2_000):
                shown.page.set_viewport_size({"width": width, "height": 800})
                shown.wait_for("document.querySelectorAll('#history path.line').length === 1")
                assert not shown.scrolls_sideways(), width
            shown.page.get_by_text("Last 24 hours").click()
            shown.page.get_by_text("The newest windows as a table").click()
            shown.page.locator("#alerts summary").first.click()
            assert shown.barriers() == []
            backgrounds.add(shown.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(backgrounds) == 2


def test_a_silent_stream_is_reported_and_is_not_green(browser: Browser, served: Served) -> None:
    silent = QuietAlert("q", LONG, "firing", "warning", NOW_MS, NOW_MS + 60_000, 30_000, "requests", 0, 3)
    served.observe(StreamState(HOSTILE, False, 1e-6), StreamQuiet(LONG, NOW_MS), AlertRaised(silent))
    served.observe(StreamPaced(HOSTILE, 20 / 86_400))
    with visit(browser, served.server.url) as shown:
        headline = f"{LONG} has been silent since "
        shown.wait_for(f"document.getElementById('headline').textContent.startsWith({headline!r})")
        assert "Silent" in shown.text("#streams li:first-child")
        assert "no sample for more than" in shown.text("#alerts li:first-child")
        shown.wait_for("document.getElementById('stream-remarks').textContent.startsWith('At 20 samples a day')")
        assert shown.barriers() == []


def test_simultaneous_windows_are_drawn_in_order_of_arrival(browser: Browser, served: Served) -> None:
    served.observe(StreamState(HOSTILE, False, 1e-6))
    for i in range(600):
        on = 100 < i < 200 or 300 < i < 400
        served.observe(window(0, 1e-9 if on else 0.3), StreamState(HOSTILE, on, 1e-6, "info"))
    with visit(browser, served.server.url) as shown:
        shown.wait_for("document.querySelectorAll('#history .firing-cap').length === 2")
        assert "in order of arrival" in str(shown.page.locator("#history").text_content())
        shown.page.locator("#inspect").focus()
        for key, place, words in (("ArrowLeft", "598", "p 0.3"), ("PageDown", "538", "p 0.3"), ("Home", "0", "p 0.3")):
            shown.page.keyboard.press(key)
            assert shown.page.locator("#inspect").input_value() == place
            assert words in shown.text("#inspected")


def test_texts_from_messages_are_shown_as_texts(browser: Browser, served: Served) -> None:
    with visit(browser, served.server.url) as shown:
        shown.wait_for("document.querySelectorAll('#streams li').length === 2")
        assert HOSTILE in shown.text("#streams")
        assert HOSTILE in shown.text("#headline")
        assert "<b>fine texture</b> changed" in shown.text("#alerts li:first-child").replace("\n", " ")
        assert shown.page.title() == f"DRIFT: {HOSTILE}"


@pytest.mark.parametrize(
    "name",
    ["__proto__", "constructor", "javascript:document.title=1", "\"'><svg onload=document.title=1>", "${1}\u202egnp"],
)
def test_names_that_are_code_to_a_page_are_shown_as_texts(browser: Browser, name: str) -> None:
    evil = f"{name}<script>document.title=1</script>"
    serving = Served(Watched((name, evil), (50,), ("score", "test")))
    serving.observe(
        *EVENTS[:2],
        ReferenceInUse(name, evil, evil, np.linspace(1, 10, 200)),
        SamplesScored(name, np.linspace(2, 30, 100), NOW_MS),
        window(0, 1e-30, stream=name, parts={evil: PARTS}, moments={evil: 7.0}, explanation=evil),
        LagMeasured(evil, 0, 7),
        DeadLettered(name, "malformed", evil),
        StateKept(evil),
        AlertRaised(replace(ALERT, stream=name, explanation=evil, severity=evil, reference=(evil, evil))),
        StreamState(name, True, 1e-6, evil, NOW_MS + 59_000),
    )
    serving.server.start()
    try:
        with visit(browser, serving.server.url, Links("/").stream(name)) as shown:
            shown.wait_for(f"document.getElementById('stream-name').textContent === {json.dumps(name)}")
            shown.wait_for("document.querySelectorAll('#moved-tables table').length === 2")
            shown.page.locator("#alerts summary").first.click()
            assert evil in shown.text("#moved-words")
            assert evil in shown.text("#alerts")
            assert shown.page.title() == f"DRIFT: {name}"
            assert shown.page.evaluate("document.querySelectorAll('body svg[onload], body script').length") == 0
            shown.page.locator("#streams a").nth(1).click()
            shown.wait_for(f"document.getElementById('stream-name').textContent === {json.dumps(evil)}")
        with visit(browser, serving.server.url, f"/#stream=gone{quote(evil)}") as shown:
            shown.wait_for(f"document.getElementById('gone').textContent.includes({json.dumps(evil)})")
    finally:
        serving.server.stop()


def test_names_of_columns_are_not_capitalised(browser: Browser, served: Served) -> None:
    words = "median_income rose by 0.9 standard deviations"
    served.observe(AlertRaised(replace(ALERT, id="column", explanation=words)), window(61, 1e-30, explanation=words))
    with visit(browser, served.server.url) as shown:
        shown.wait_for(f"document.getElementById('moved-words').textContent === {words!r}")
        assert shown.text("#headline-more") == words
        style = "getComputedStyle(document.querySelector('#moved-words li'), '::first-letter').textTransform"
        assert shown.page.evaluate(style) == "none"


def test_the_link_in_an_alert_leads_to_its_stream(browser: Browser, served: Served) -> None:
    with visit(browser, served.server.url, Links("/").stream(LONG)) as shown:
        shown.wait_for(f"document.getElementById('stream-name').textContent === {LONG!r}")
        assert "No result yet" not in shown.text("#stream-state")
        assert shown.page.locator("#streams a[aria-current=true]").inner_text().startswith(LONG)


def test_a_link_to_a_removed_stream_says_so(browser: Browser, served: Served) -> None:
    with visit(browser, served.server.url, Links("/").stream("renamed")) as shown:
        shown.wait_for("document.getElementById('gone').innerText.startsWith('There is no stream renamed here')")
        assert not shown.page.locator("#detail").is_visible()
        assert shown.barriers() == []
        shown.page.locator("#streams a").first.click()
        shown.wait_for("document.getElementById('gone').innerText === ''")


def test_the_selected_one_of_many_streams_is_in_view_on_a_phone(browser: Browser) -> None:
    names = tuple(f"model-{number:02}" for number in range(30))
    serving = Served(Watched(names, (50,), ("score", "test")))
    serving.server.start()
    try:
        with visit(browser, serving.server.url, Links("/").stream("model-17"), width=PHONE) as shown:
            shown.wait_for("document.querySelectorAll('#streams li').length === 30")
            assert shown.text("#streams-title") == "30 streams"
            shown.wait_for(
                "document.querySelector('#streams [aria-current]').getBoundingClientRect().bottom"
                " <= document.querySelector('nav').getBoundingClientRect().bottom"
            )
            assert shown.page.evaluate("scrollY") == 0
    finally:
        serving.server.stop()


def test_simultaneous_alerts_are_listed_in_order_of_arrival(browser: Browser, served: Served) -> None:
    at_once = [
        replace(ALERT, id=f"at once {i}", severity=severity, window=replace(ALERT.window, end_ms=NOW_MS + 90_000))
        for i, severity in enumerate(("warning", "critical"))
    ]
    served.observe(*(AlertRaised(replace(alert, since_ms=NOW_MS + 90_000)) for alert in at_once))
    with visit(browser, served.server.url) as shown:
        shown.wait_for("document.querySelectorAll('#alerts li').length > 10")
        assert "worsened, critical" in shown.text("#alerts li:nth-child(1)")
        assert "started to drift, warning" in shown.text("#alerts li:nth-child(2)")


def test_an_alarm_that_follows_another_at_once_is_a_separate_one(browser: Browser, served: Served) -> None:
    at = NOW_MS + 90_000
    states = ("firing", "resolved", "firing")
    alerts = [
        replace(ALERT, id=f"in turn {i}", state=state, since_ms=at, window=replace(ALERT.window, end_ms=at))
        for i, state in enumerate(states)
    ]
    served.observe(*map(AlertRaised, alerts))
    with visit(browser, served.server.url) as shown:
        shown.wait_for("document.querySelectorAll('#alerts li').length > 10")
        assert "is back to normal" in shown.text("#alerts li:nth-child(2)")
        for number in (1, 3):
            assert f"started to drift, {ALERT.severity}" in shown.text(f"#alerts li:nth-child({number})")


def test_no_foreign_script_runs(browser: Browser, served: Served) -> None:
    inline = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)"
    with visit(browser, served.server.url) as shown:
        shown.page.evaluate(inline)
        assert shown.page.evaluate("window.ran") is None
        shown.page.evaluate("document.body.setAttribute('style', 'color: red')")
        assert shown.page.evaluate("getComputedStyle(document.body).color") != "rgb(255, 0, 0)"
        refused = [complaint for complaint in shown.complaints if "Content Security Policy" in complaint]
        assert len(refused) == 2, shown.complaints
        shown.complaints.clear()


def test_everything_is_reachable_by_keyboard(browser: Browser, served: Served) -> None:
    with visit(browser, served.server.url) as shown:
        shown.wait_for("document.querySelectorAll('#streams li').length === 2")
        press, focused = shown.page.keyboard.press, "document.activeElement"
        press("Tab")
        assert shown.page.evaluate(f"{focused}.className") == "skip"
        press("Tab")
        press("Tab")
        press("Enter")
        shown.wait_for(f"document.getElementById('stream-name').textContent === {LONG!r}")
        assert LONG in shown.page.evaluate(f"{focused}.innerText"), (
            "the chosen stream keeps the focus when the page is redrawn"
        )
        shown.page.keyboard.press("Shift+Tab")
        press("Enter")
        shown.wait_for(f"document.getElementById('stream-name').textContent === {HOSTILE!r}")
        shown.page.locator("input[name=reach]").first.focus()
        press("ArrowRight")
        shown.wait_for("document.getElementById('history-note').innerText.startsWith('The lowest')")
        press("ArrowLeft")
        press("Tab")
        assert shown.page.evaluate(f"{focused}.id") == "inspect"
        assert "p < 1e-16" in str(shown.page.evaluate(f"{focused}.getAttribute('aria-valuetext')"))
        press("ArrowLeft")
        assert "p 0.3" in shown.text("#inspected")
        served.observe(window(61, 0.2))
        shown.wait_for("document.getElementById('inspect').max === '61'")
        assert "p 0.3" in shown.text("#inspected"), "the inspected window stays when others arrive"
        press("Tab")
        press("Enter")
        shown.wait_for("document.querySelectorAll('#history-rows tr').length === 30")
        shown.page.locator("#alerts-all").focus()
        press("Enter")
        assert shown.page.locator("#alerts li").nth(10).is_visible()
        assert shown.page.evaluate(f"{focused}.tagName") == "SUMMARY"


def test_a_daemon_that_goes_away_is_reported_until_it_is_back(browser: Browser, served: Served) -> None:
    with visit(browser, served.server.url, goes_away=True) as shown:
        shown.wait_for("document.querySelectorAll('#streams li').length === 2")
        served.server.stop()
        shown.wait_for("document.getElementById('lost').innerText.startsWith('No answer from the daemon since ')")
        assert shown.barriers() == []
        again = Served(Watched(("waves",), (50,), ("score", "test")), port=served.server.port)
        again.server.start()
        try:
            shown.wait_for("document.getElementById('lost').innerText === ''")
            assert shown.text("#headline") == "No result yet"
            assert "not connected yet" in shown.text("#health")
            assert "needs 50 samples" in shown.text("#history-note")
            assert shown.barriers() == []
        finally:
            again.server.stop()


@pytest.mark.parametrize(
    ("role", "note", "words"),
    [("score", "#history-note", "Another daemon tests"), ("test", "#scores-note", "Another daemon scores")],
)
def test_with_split_roles_each_page_says_what_the_other_daemon_does(
    browser: Browser, role: str, note: str, words: str
) -> None:
    serving = Served(Watched(("waves",), (50,), (role,)))
    serving.server.start()
    try:
        with visit(browser, serving.server.url) as shown:
            shown.wait_for(f"document.querySelector('{note}').innerText.startsWith({words!r})")
    finally:
        serving.server.stop()


def test_a_hidden_page_requests_nothing(browser: Browser, served: Served) -> None:
    with visit(browser, "about:blank", "") as shown:
        shown.url = served.server.url
        requested: list[str] = []
        shown.page.on("request", lambda request: requested.append(request.url))
        shown.page.clock.install()
        shown.page.goto(served.server.url)
        set_hidden = (
            "Object.defineProperty(document, 'hidden', {{value: {}, configurable: true}});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        shown.wait_for("document.querySelectorAll('#streams li').length === 2")
        shown.page.evaluate(set_hidden.format("true"))
        before = len(requested)
        shown.page.clock.run_for(60_000)
        assert len(requested) == before
        with shown.page.expect_response("**/api/status"):
            shown.page.evaluate(set_hidden.format("false"))
        with shown.page.expect_response("**/api/status"):
            shown.page.clock.run_for(1_500)
        shown.complaints.clear()


@pytest.mark.parametrize(
    ("roles", "headline"),
    [(("forward",), "This daemon forwards samples to Kafka"), (("score",), "No result yet")],
)
def test_a_daemon_that_tests_nothing_says_so(browser: Browser, roles: tuple[str, ...], headline: str) -> None:
    serving = Served(Watched((), (50,), roles))
    serving.server.start()
    try:
        with visit(browser, serving.server.url) as shown:
            shown.wait_for(f"document.getElementById('headline').innerText === {headline!r}")
            assert "another" in shown.text("#headline-more") or "there" in shown.text("#headline-more")
            assert shown.barriers() == []
            assert not shown.page.locator("#detail").is_visible()
    finally:
        serving.server.stop()
