"""A real Prometheus scrapes a real daemon under drift: every panel, variable, annotation and rule has data."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from deploy.grafana.ask import Series, View, ask, ask_panel, filled, panels, values_of
from deploy.grafana.draw import drawn
from driftwatch.data.codecs import encode
from tests import plain_http
from tests.integration.conftest import Cluster, RunningDaemon, StartDaemon
from tests.prometheus import DEPLOY, SCRAPE_S, prometheus
from tests.synthetic import SCHEMA, shuffled_rows, waves

DASHBOARDS = DEPLOY.parent / "grafana" / "dashboards"
FLEET, STREAM = (json.loads((DASHBOARDS / f"driftwatch-{name}.json").read_text()) for name in ("fleet", "stream"))
NAME = "waves"


def messages(
    samples: np.ndarray[Any, np.dtype[np.float32]], stream: str = NAME
) -> list[tuple[bytes, Mapping[str, bytes]]]:
    made = []
    for start in range(0, len(samples), 10):
        value, headers = encode(samples[start : start + 10], SCHEMA, "npy")
        made.append((value, {**headers, "driftwatch-stream": stream.encode()}))
    return made


MALFORMED: list[tuple[bytes, Mapping[str, bytes]]] = [(b"{", {"driftwatch-stream": NAME.encode()})]


class Watched:
    """A daemon, and the Prometheus that scrapes it."""

    def __init__(self, daemon: RunningDaemon, url: str) -> None:
        self.daemon, self.url, self.started = daemon, url, time.time()

    def view(self, **chosen: list[str]) -> View:
        now = time.time()
        return View(self.url, self.started, now, SCRAPE_S, {"stream": [NAME], **chosen})

    def ask(self, expr: str) -> list[Series]:
        return ask(self.view(), expr, instant=True)

    def wait_for(self, expr: str, done: Callable[[float], bool]) -> None:
        """Wait until Prometheus has a value of an expression that satisfies a condition."""
        self.daemon.wait_for(expr, lambda: any(done(found.values[-1]) for found in self.ask(expr)))

    def rules(self) -> list[dict[str, Any]]:
        groups = plain_http.get(f"{self.url}/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


def test_panels_and_rules_show_a_real_drift(
    cluster: Cluster, bundle: Path, tmp_path: Path, start_daemon: StartDaemon
) -> None:
    cluster.create()
    daemon = start_daemon(
        {
            "source": cluster.source(),
            "streams": [{"name": NAME, "reference": str(bundle)}],
            "windows": {"sizes": [20, 100], "step": 10},
            "sinks": [{"kind": "log"}, {"kind": "webhook", "url": "http://127.0.0.1:9/", "max_attempts": 1}],
        }
    )
    posted = {"source": {"kind": "http"}, "streams": [{"name": "posted", "reference": str(bundle)}]}
    intake = start_daemon(posted)
    with prometheus(tmp_path, [each.url.removeprefix("http://") for each in (daemon, intake)]) as url:
        watched = Watched(daemon, url)
        for value, headers in messages(waves(100, seed=20), "posted"):
            request_headers = {name: text.decode() for name, text in headers.items()}
            assert plain_http.post(intake.url, content=value, headers=request_headers).status_code == 202
        assert plain_http.put(intake.url).status_code == 405
        watched.wait_for('driftwatch_samples_total{stream="posted"}', lambda value: value == 100)
        watched.wait_for("driftwatch_sink_failures_total", lambda value: value == 0)
        cluster.send([*messages(waves(400, seed=21)), *MALFORMED])
        watched.wait_for("driftwatch_samples_total", lambda value: value >= 400)
        watched.wait_for("driftwatch_dead_letters_total", lambda value: value >= 1)
        cluster.send([*messages(shuffled_rows(waves(300, seed=22))), *MALFORMED])
        watched.wait_for("driftwatch_samples_total", lambda value: value >= 700)
        watched.wait_for('sum(increase(driftwatch_alerts_total{state="firing"}[1m]))', lambda value: value > 0)
        watched.wait_for("driftwatch_sink_failures_total", lambda value: value >= 1)
        for rule in ("DriftwatchStreamDrift", "DriftwatchAlertsUndelivered"):
            watched.wait_for(f'count(ALERTS{{alertname="{rule}", alertstate="firing"}})', lambda value: value >= 1)

        check_panels(watched, FLEET)
        check_panels(watched, STREAM)
        check_variables(watched, [daemon, intake])
        check_annotations(watched)
        check_figures(watched)
        check_rules(watched)
        for board in (FLEET, STREAM):
            assert len(drawn(watched.view(), board).axes) >= len(list(panels(board)))


def check_panels(watched: Watched, board: Mapping[str, Any]) -> None:
    empty = [
        f"{panel['title']}: {ref}: {panel['targets'][0]['expr']}"
        for panel in panels(board)
        for ref, found in ask_panel(watched.view(), board, panel).items()
        if not any(np.isfinite(series.values).any() for series in found)
    ]
    assert empty == []


def check_variables(watched: Watched, daemons: list[RunningDaemon]) -> None:
    addresses = sorted(each.url.removeprefix("http://") for each in daemons)
    for board in (FLEET, STREAM):
        assert values_of(watched.view(), board, "job") == ["driftwatch"]
        assert values_of(watched.view(), board, "instance") == addresses
    assert values_of(watched.view(), STREAM, "stream") == ["posted", NAME]
    assert values_of(watched.view(), STREAM, "window") == ["100", "20"]


def check_annotations(watched: Watched) -> None:
    for each in STREAM["annotations"]["list"]:
        assert ask(watched.view(), filled(watched.view(), STREAM, each["expr"])), each["name"]
    on = ask(watched.view(), filled(watched.view(), STREAM, STREAM["annotations"]["list"][0]["expr"]))[0]
    assert on.times[0] > watched.started + SCRAPE_S, "the alarm was off at first"


def check_figures(watched: Watched) -> None:
    """Panels do not only have data, but the right data."""

    def shown(board: Mapping[str, Any], title: str, **chosen: list[str]) -> dict[str, list[Series]]:
        panel = next(panel for panel in panels(board) if panel["title"] == title)
        return ask_panel(watched.view(**chosen), board, panel)

    assert shown(FLEET, "Firing now")["A"][0].values[-1] == 1
    assert shown(FLEET, "Firing now", job=["another"])["A"][0].values[-1] == 0
    assert shown(FLEET, "State by stream", job=["driftwatch"], instance=["127.0.0.1:1"])["A"] == []
    by_window = shown(STREAM, "P-value by window, and threshold")
    assert {series.name for series in by_window["A"]} == {"window of 20", "window of 100"}
    limit = by_window["B"][0].values[-1]
    assert all(series.values[-1] <= limit for series in by_window["A"])
    (only,) = shown(STREAM, "P-value by window, and threshold", window=["20"])["A"]
    assert only.name == "window of 20"
    blocks = {series.name for series in shown(STREAM, "Scale by block", window=["100"])["A"]}
    assert len(blocks) == 2
    assert all(name.endswith(", 100") for name in blocks)
    counted = {
        series.labels["outcome"]: max(series.values) for series in shown(FLEET, "Messages per second by outcome")["A"]
    }
    assert counted["ok"] > counted["dead_letter"] > counted["skipped"] == 0
    assert {"accepted", "refused"} <= {series.name for series in shown(FLEET, "Requests per second by outcome")["A"]}
    (waiting,) = shown(FLEET, "Messages waiting in the intake")["A"]
    assert waiting.name != watched.daemon.url.removeprefix("http://"), "the daemon that reads Kafka has no intake"
    assert {series.labels["sink"]: series.values[-1] > 0 for series in shown(FLEET, "Sinks")["B"]} == {
        "log": False,
        "webhook": True,
    }


def check_rules(watched: Watched) -> None:
    rules = watched.rules()
    assert len(rules) == sum(
        len(group["rules"]) for group in yaml.safe_load((DEPLOY / "rules.yml").read_text())["groups"]
    )
    assert [rule for rule in rules if rule["health"] != "ok"] == []
    recorded = [rule["name"] for rule in rules if rule["type"] == "recording"]
    assert [name for name in recorded if not watched.ask(name)] == []
    states = {rule["name"]: rule["state"] for rule in rules if rule["type"] == "alerting"}
    assert states["DriftwatchStreamDrift"] == "firing"
    assert states["DriftwatchAlertsUndelivered"] == "firing"
    assert states["DriftwatchBudgetUnsatisfiable"] == "pending"
    assert {states[name] for name in ("DriftwatchDown", "DriftwatchAbsent", "DriftwatchStalled")} == {"inactive"}


def test_a_stream_taken_over_by_another_daemon_is_reported_by_that_one_alone(
    cluster: Cluster, bundle: Path, start_daemon: StartDaemon
) -> None:
    cluster.create(partitions=2)
    names = [f"waves {number}" for number in range(4)]
    config = {
        "streams": [{"name": name, "reference": str(bundle)} for name in names],
        "windows": {"sizes": [20, 100], "step": 10},
    }
    first = start_daemon({"source": cluster.source(instance="first"), **config})
    drifted = shuffled_rows(waves(100, seed=22))
    for partition in range(2):
        for name in names[partition::2]:
            cluster.send(messages(drifted, name), partition)
    first.wait_for("all alarms", lambda: firing_streams(first) == set(names))
    second = start_daemon({"source": cluster.source(instance="second"), **config})
    second.wait_for("a share of the alarms", lambda: firing_streams(second) != set())
    first.wait_for(
        "the rest of them",
        lambda: firing_streams(first) | firing_streams(second) == set(names) != firing_streams(first),
    )
    assert firing_streams(first) & firing_streams(second) == set()
    assert first.metric("driftwatch_samples_total") == 400, "it keeps its own count"


def firing_streams(daemon: RunningDaemon) -> set[str]:
    """The streams that a daemon reports as firing."""
    return set(re.findall(r'^driftwatch_drift\{stream="(.+)"\} 1.0$', daemon.get("/metrics").text, re.MULTILINE))
