"""The sinks of a configuration: their names, what `driftwatch check` says of them, and a test alert through each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from driftwatch.alerts.sinks import build_sinks
from driftwatch.cli.app import app
from driftwatch.config import DaemonConfig, load_config, named_sinks, one_by_one
from driftwatch.errors import ConfigError
from tests.receiver import Answer, receiver

MAIL = {"kind": "email", "host": "smtp.example.com", "from": "driftwatch@example.com", "to": ["a@example.com"]}
SLACK = {"kind": "webhook", "url": "https://hooks.example.com/services/hunter2", "template": "slack"}


def config(sinks: list[dict[str, Any]]) -> dict[str, Any]:
    source = {"kind": "replay", "data": ["stream.npy"], "stream": "waves"}
    return {"source": source, "streams": [{"name": "waves", "reference": "bundles/a"}], "sinks": sinks}


def loaded(sinks: list[dict[str, Any]]) -> DaemonConfig:
    return DaemonConfig.model_validate(config(sinks))


def names(sinks: list[dict[str, Any]]) -> list[str]:
    return [name for name, _ in named_sinks(one_by_one(loaded(sinks).sinks))]


def test_every_sink_has_a_unique_name() -> None:
    alertmanager = {"kind": "alertmanager", "url": ["http://a:9093", "http://b:9093"]}
    webhook = {"kind": "webhook", "url": "http://x"}
    assert names([MAIL, webhook, SLACK, {"kind": "log"}]) == ["email", "webhook", "slack", "log"]
    assert names([SLACK, webhook, SLACK, webhook, MAIL, MAIL]) == [
        *("slack-1", "webhook-1", "slack-2", "webhook-2"),
        *("email-1", "email-2"),
    ]
    assert names([alertmanager]) == ["alertmanager-1", "alertmanager-2"]
    assert names([{**alertmanager, "name": "main"}, {**SLACK, "name": "team"}, SLACK]) == [
        "main-1",
        "main-2",
        "team",
        "slack",
    ]
    with pytest.raises(ValueError, match="the name 'slack' is given twice"):
        loaded([{**MAIL, "name": "slack"}, SLACK])


def test_sinks_are_built_according_to_their_kind() -> None:
    sinks = build_sinks(loaded([MAIL, SLACK, {"kind": "log"}, {"kind": "alertmanager", "url": "http://a:9093"}]))
    assert [type(sink).__name__ for sink in sinks.each] == ["EmailSink", "WebhookSink", "LogSink"]
    assert [client.name for client in sinks.kept_up] == ["alertmanager"]
    sinks.close()


@pytest.mark.parametrize(
    ("sink", "message"),
    [
        ({**SLACK, "template": "pagerduty"}, "needs a routing_key"),
        ({**SLACK, "routing_key": "hunter2"}, "no other template takes one"),
        ({**SLACK, "template": "discord"}, "'cloudevents', 'slack', 'teams' or 'pagerduty'"),
        ({**SLACK, "username": "me"}, "username and password go together"),
        ({**SLACK, "username": "me", "password": "hunter2", "bearer_token": "hunter2"}, "give one"),
        ({"kind": "alertmanager", "url": "ftp://hunter2"}, "'http' or 'https'"),
        ({"kind": "alertmanager", "url": []}, "url"),
        ({"kind": "alertmanager", "url": "http://a", "labels": {"stream": "x"}}, "driftwatch sets stream itself"),
        ({"kind": "alertmanager", "url": "http://a", "labels": {"a-b": "x"}}, "labels.a-b"),
        ({"kind": "alertmanager", "url": "http://a", "labels": {"__a": "x"}}, "labels.__a"),
        ({"kind": "alertmanager", "url": "http://a", "labels": {"a": ""}}, "at least 1 character"),
        ({"kind": "alertmanager", "url": "http://a", "expires_s": 90}, "twice resend_s 60 or more"),
        ({**MAIL, "from": "nobody"}, "should be a mail address"),
        ({**MAIL, "from": "a@b\nBcc: c@d"}, "should be a mail address"),
        ({**MAIL, "to": []}, "should not be empty"),
        ({**MAIL, "frm": "a@b"}, "did you mean 'from'?"),
        ({**MAIL, "encryption": "none", "username": "me", "password": "hunter2"}, "would travel in clear"),
        ({**MAIL, "password": "hunter2"}, "username and password go together"),
    ],
)
def test_mistakes_are_reported_without_secrets(tmp_path: Path, sink: dict[str, Any], message: str) -> None:
    path = tmp_path / "daemon.yaml"
    path.write_text(yaml.safe_dump(config([sink])))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value).replace("ftp://hunter2", "")


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    # References take seconds to make and to calibrate, and sinks do not depend on them.
    monkeypatch.setattr("driftwatch.daemon.load_references", lambda _: {})
    for reference_check in ("_require_fit", "_streams"):
        monkeypatch.setattr(f"driftwatch.cli.check.{reference_check}", lambda *_: [])

    def run(sinks: list[dict[str, Any]], *options: str) -> Result:
        np.save(tmp_path / "stream.npy", np.zeros((10, 8, 8), dtype=np.uint8))
        path = tmp_path / "daemon.yaml"
        path.write_text(yaml.safe_dump(config(sinks)))
        return CliRunner().invoke(app, ["check", str(path), *options])

    return run


def test_check_shows_each_sink_without_its_secrets(check: Callable[..., Result]) -> None:
    alertmanager = {"kind": "alertmanager", "url": ["http://me:hunter2@a:9093/x", "http://b:9093"]}
    done = check([MAIL, SLACK, alertmanager], "--format", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["sinks"] == [
        {"name": "email", "kind": "email", "to": "a@example.com by smtp.example.com:587"},
        {"name": "slack", "kind": "webhook, slack", "to": "https://hooks.example.com"},
        {"name": "alertmanager-1", "kind": "alertmanager", "to": "http://a:9093"},
        {"name": "alertmanager-2", "kind": "alertmanager", "to": "http://b:9093"},
    ]
    assert "hunter2" not in done.output


def test_a_logged_test_alert_does_not_get_into_the_json(check: Callable[..., Result]) -> None:
    done = check([{"kind": "log"}], "--send-test-alert", "--format", "json")
    assert [sink["name"] for sink in json.loads(done.stdout)["sinks"]] == ["log"]
    assert "this was a test" in done.stderr


def test_a_test_alert_goes_through_each_sink(check: Callable[..., Result]) -> None:
    with receiver(Answer(200)) as server:
        sinks = [
            {"kind": "webhook", "url": server.url},
            {"kind": "alertmanager", "url": server.url},
            {**MAIL, "host": "127.0.0.1", "port": 9, "encryption": "none"},
        ]
        done = check(sinks, "--send-test-alert")
    assert isinstance(done.exception, Exception)
    assert "the test alert did not reach email" in str(done.exception)
    for line in ("test alert to webhook: arrived", "test alert to alertmanager: arrived", "after 2 attempts"):
        assert line in done.output
    first, second, kept_up = (json.loads(each.body) for each in server.received)
    assert (first["data"]["state"], second["data"]["state"]) == ("firing", "resolved")
    assert first["data"]["stream"] == kept_up[0]["labels"]["stream"] == "driftwatch-test"
    assert kept_up[0]["endsAt"] > kept_up[0]["startsAt"]
