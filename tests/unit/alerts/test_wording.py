"""The text about the end of an alarm stays true if the alarm waited until windows looked usual."""

from __future__ import annotations

from dataclasses import replace

from structlog.testing import capture_logs

from driftwatch.alerts.sample import sample_alert, sample_resolution
from driftwatch.alerts.sinks import LogSink
from driftwatch.alerts.wording import Links, compose
from driftwatch.stream.alert import rfc3339

FIRING = sample_alert(at_ms=1_700_000_000_000)
RESOLVED = replace(sample_resolution(FIRING), since_ms=FIRING.began_ms, explanation="all have p > 0.2")


def test_the_duration_of_the_alarm_is_not_reported_as_that_of_the_drift() -> None:
    message = compose(RESOLVED, Links())
    assert message.title == f"RESOLVED: {RESOLVED.stream}, after an alarm of 2 min 0 s"
    assert message.facts["Alarm"] == "from 2023-11-14 22:13:20 UTC to 2023-11-14 22:15:20 UTC (2 min 0 s)"
    assert message.lead.endswith("look like the reference again: all have p > 0.2.")


def test_the_log_says_since_when_the_alarm_was_on() -> None:
    with capture_logs() as lines:
        for alert in (FIRING, RESOLVED):
            LogSink().deliver(alert, None)  # type: ignore[arg-type]
    assert [(line["event"], line["since"]) for line in lines] == [
        ("drift", rfc3339(FIRING.began_ms)),
        ("drift resolved", rfc3339(FIRING.began_ms)),
    ]
