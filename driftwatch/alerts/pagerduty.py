"""An alert in the format of PagerDuty's Events API v2.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import orjson

from driftwatch.alerts.wording import Links, compose, shorten
from driftwatch.stream.alert import rfc3339
from driftwatch.stream.announcement import APART, Announcement, key_of
from driftwatch.stream.quiet_alert import QuietAlert

SUMMARY, DEDUP_KEY, DETAIL = 1_024, 255, 4_000
LEVELS = ("critical", "error", "warning", "info")


def pagerduty_event(alert: Announcement, links: Links, *, routing_key: str, severities: Sequence[str]) -> bytes:
    """The body of the POST.

    The key is the stream's: an alarm that worsens triggers the same incident again, and a resolution closes it. A
    stream's silence is a separate incident.

    Args:
        alert: to report.
        links: to point to.
        routing_key: of the integration.
        severities: the configured levels, least severe first.
    """
    key = dedup_key(key_of(alert).replace(APART, "/"))
    if alert.state == "resolved":
        return orjson.dumps({"routing_key": routing_key, "event_action": "resolve", "dedup_key": key})
    message = compose(alert, links)
    event = {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": key,
        "client": "driftwatch",
        "payload": {
            "summary": shorten(f"{message.title}: {alert.explanation}", SUMMARY),
            "source": alert.stream,
            "severity": level(alert.severity, severities),
            "timestamp": rfc3339(alert.end_ms),
            **(
                {"class": "model input silence"}
                if isinstance(alert, QuietAlert)
                else {"component": alert.reference[0], "class": "model input drift"}
            ),
            "custom_details": {
                **{name: shorten(value, DETAIL) for name, value in message.facts.items()},
                "Next": list(message.steps),
                "Alert": alert.id,
            },
        },
        "links": [{"href": url, "text": name} for name, url in message.links.items()],
    }
    if page := links.stream(alert.stream):
        event["client_url"] = page
    return orjson.dumps(event)


def dedup_key(stream: str) -> str:
    """The key of a stream's incident, of which at most one is open."""
    key = f"driftwatch/{stream}"
    if len(key) <= DEDUP_KEY:
        return key
    return f"driftwatch/{hashlib.sha256(stream.encode()).hexdigest()}"


def level(severity: str, severities: Sequence[str]) -> str:
    """PagerDuty's word for a severity: the same word if PagerDuty has it, else one by rank.

    >>> level("critical", ["warning", "critical"])
    'critical'
    >>> [level(name, ["low", "middle", "high"]) for name in ("low", "middle", "high")]
    ['warning', 'error', 'critical']
    """
    if severity in LEVELS:
        return severity
    if severity not in severities:
        return "warning"
    rank = severities.index(severity)
    if rank == len(severities) - 1:
        return "critical"
    return "warning" if rank == 0 else "error"
