"""What is told of the end of an alarm is true of one that waited until windows looked as usual."""

from __future__ import annotations

from dataclasses import replace

from structlog.testing import capture_logs

from driftwatch.alerts.sample import sample_alert, sample_resolution
from driftwatch.alerts.sinks import LogSink
from driftwatch.alerts.wording import Links, compose
from driftwatch.stream.alert import rfc3339

FIRING = sample_alert(at_ms=1_700_000_000_000)
OVER = replace(sample_resolution(FIRING), since_ms=FIRING.began_ms, explanation="all have p > 0.2")


def test_how_long_the_alarm_was_on_is_not_told_as_how_long_the_drift_was() -> None:
    told = compose(OVER, Links())
    assert told.title == f"RESOLVED: {OVER.stream}, after an alarm of 2 min 0 s"
    assert told.facts["Alarm"] == "from 2023-11-14 22:13:20 UTC to 2023-11-14 22:15:20 UTC (2 min 0 s)"
    assert told.lead.endswith("look like the reference again: all have p > 0.2.")


def test_the_log_says_since_when() -> None:
    with capture_logs() as lines:
        for alert in (FIRING, OVER):
            LogSink().deliver(alert, None)  # type: ignore[arg-type]
    assert [(line["event"], line["since"]) for line in lines] == [
        ("drift", rfc3339(FIRING.began_ms)),
        ("drift resolved", rfc3339(FIRING.began_ms)),
    ]
