"""Every sink reports a stream that stopped, as it does drift."""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from driftwatch.alerts.alertmanager import AlertmanagerClient
from driftwatch.alerts.mail import write_mail
from driftwatch.alerts.sample import sample_alert
from driftwatch.alerts.sinks import LogSink
from driftwatch.alerts.slack import slack_message
from driftwatch.alerts.standing import Standing
from driftwatch.alerts.teams import teams_message
from driftwatch.alerts.wording import compose
from driftwatch.config import AlertmanagerSinkConfig
from driftwatch.stream.quiet_alert import QuietAlert
from tests.unit.alerts.test_webhook import LINKS, NASTY, PAGERDUTY, SLACK, TEAMS, sink, trigger, valid

BEGAN_MS = 1_700_000_000_000
SILENT = QuietAlert("1", "fashion", "firing", "warning", BEGAN_MS, BEGAN_MS + 600_000, 600_000, "requests", 2, 17)
HEARD = replace(SILENT, id="2", state="resolved", end_ms=BEGAN_MS + 4_000_000, offset=18)


@pytest.mark.parametrize("alert", [SILENT, HEARD, replace(SILENT, stream=NASTY)])
def test_messages_match_the_receivers_documentation(alert: QuietAlert) -> None:
    valid(SLACK, slack_message(alert, LINKS))
    valid(TEAMS, teams_message(alert, LINKS))
    valid(PAGERDUTY, trigger(alert))


def test_the_text_says_since_when_and_where_to_look() -> None:
    message = compose(SILENT, LINKS)
    assert message.title == "WARNING: fashion is silent, nothing since 2023-11-14 22:13:20 UTC"
    assert message.facts["Last sample"] == "2023-11-14 22:13:20 UTC; requests/2 offset 17"
    assert compose(HEARD, LINKS).title == "RESOLVED: fashion, after 1 h 6 min of silence"
    assert SILENT.explanation == "no sample for more than 10 min, the last at requests/2 offset 17"


def test_silence_and_drift_of_one_stream_are_separate_incidents() -> None:
    drift = replace(sample_alert(), stream="fashion")
    keys = [valid(PAGERDUTY, trigger(each))["dedup_key"] for each in (drift, SILENT, HEARD)]
    assert len(set(keys)) == 2
    assert keys[1] == keys[2]
    client = AlertmanagerClient(
        AlertmanagerSinkConfig.model_validate({"kind": "alertmanager", "url": "http://127.0.0.1:9"}), "am", LINKS
    )
    standing = Standing(client.describe, ["fashion"])
    for each in (drift, SILENT):
        standing.take(each, each.end_ms)
    assert [series.labels["alertname"] for series in standing.current(0)] == ["ModelInputDrift", "ModelInputQuiet"]
    standing.take(HEARD, HEARD.end_ms)
    still, ended = standing.current(HEARD.end_ms)
    assert (still.labels["alertname"], still.ends_ms) == ("ModelInputDrift", None)
    assert (ended.labels["alertname"], ended.ends_ms) == ("ModelInputQuiet", HEARD.end_ms)
    client.close()


def test_the_end_of_a_silence_answers_its_mail() -> None:
    silent, heard = (write_mail(each, LINKS, "a@example.com", ["b@example.com"]) for each in (SILENT, HEARD))
    assert silent["References"] is None
    assert heard["In-Reply-To"] == silent["Message-ID"]
    drift = replace(sample_alert(at_ms=BEGAN_MS), stream="fashion")
    assert write_mail(drift, LINKS, "a@example.com", ["b@example.com"])["Message-ID"] != silent["Message-ID"]


def test_a_silence_is_posted_and_logged() -> None:
    body, content_type = sink("http://127.0.0.1:9").write(SILENT)
    assert content_type == "application/cloudevents+json"
    assert b"io.driftwatch.quiet.v1" in body
    with capture_logs() as lines:
        for each in (SILENT, HEARD):
            LogSink().deliver(each, None)  # type: ignore[arg-type]
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("stream silent", "warning"),
        ("stream heard again", "info"),
    ]
