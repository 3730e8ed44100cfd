"""Sinks: ways to report an alert to people or to other programs."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

import structlog

from driftwatch.alerts.alertmanager import AlertmanagerClient
from driftwatch.alerts.mail import EmailSink
from driftwatch.alerts.webhook import WebhookSink
from driftwatch.alerts.wording import Links
from driftwatch.config import (
    AlertmanagerSinkConfig,
    DaemonConfig,
    EmailSinkConfig,
    LogSinkConfig,
    WebhookSinkConfig,
    named_sinks,
    one_by_one,
)
from driftwatch.stream.alert import rfc3339
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.quiet_alert import QuietAlert

log = structlog.get_logger("driftwatch.alerts")


class Sink(Protocol):
    """Accepts alerts, one at a time.

    `queue` is the number of alerts that may wait where no topic keeps them.
    """

    name: str
    queue: int

    def deliver(self, alert: Announcement, stop: threading.Event) -> None:
        """Deliver an alert, with as many attempts as configured, or until `stop` is set.

        Raises:
            SinkError: it did not arrive.
        """

    def close(self) -> None:
        """Release connections."""


class LogSink:
    """Writes each alert to the daemon's own log.

    Args:
        name: for metrics.
    """

    queue = 1_000

    def __init__(self, name: str = "log") -> None:
        self.name = name

    def deliver(self, alert: Announcement, stop: threading.Event) -> None:  # noqa: ARG002 - logging never waits
        """See `Sink.deliver`."""
        log_event = log.warning if alert.state == "firing" else log.info
        if isinstance(alert, QuietAlert):
            log_event(
                "stream silent" if alert.state == "firing" else "stream heard again",
                stream=alert.stream,
                severity=alert.severity,
                since=rfc3339(alert.since_ms),
                explanation=alert.explanation,
                id=alert.id,
            )
            return
        log_event(
            "drift" if alert.state == "firing" else "drift resolved",
            stream=alert.stream,
            severity=alert.severity,
            effect_nats=round(alert.effect.nats, 3),
            p_value=float(f"{alert.p_value:.3g}"),
            window=alert.window.size,
            since=rfc3339(alert.began_ms),
            explanation=alert.explanation,
            reference="/".join(alert.reference),
            id=alert.id,
        )

    def close(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True)
class Sinks:
    """All configured sinks, except Kafka's own topic, which the test role writes.

    Args:
        each: receive every alert once.
        kept_up: are kept informed of what fires.
    """

    each: tuple[Sink, ...]
    kept_up: tuple[AlertmanagerClient, ...]

    def close(self) -> None:
        """Release their connections."""
        for sink in self.each:
            sink.close()
        for client in self.kept_up:
            client.close()


def sink_names(config: DaemonConfig) -> list[str]:
    """Names of all sinks of a daemon, for logs and metrics."""
    kinds = (AlertmanagerSinkConfig, WebhookSinkConfig, EmailSinkConfig, LogSinkConfig)
    return [name for name, sink in named_sinks(one_by_one(config.sinks)) if isinstance(sink, kinds)]


def build_sinks(config: DaemonConfig) -> Sinks:
    """The sinks of a daemon, each with a unique name.

    Raises:
        ConfigError: a file with certificates cannot be read.
    """
    links = Links(config.server.external_url or "", config.alerts.runbook_url or "")
    severities = sorted(config.alerts.severity, key=lambda name: config.alerts.severity[name])
    each: list[Sink] = []
    kept_up: list[AlertmanagerClient] = []
    for name, sink in named_sinks(one_by_one(config.sinks)):
        match sink:
            case AlertmanagerSinkConfig():
                kept_up.append(AlertmanagerClient(sink, name, links))
            case WebhookSinkConfig():
                each.append(WebhookSink(sink, name, links, severities))
            case EmailSinkConfig():
                each.append(EmailSink(sink, name, links))
            case LogSinkConfig():
                each.append(LogSink(name))
    return Sinks(tuple(each), tuple(kept_up))
