"""Sends a test alert through every sink, so that misconfiguration shows before the first real alert."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from driftwatch.alerts.attempts import TryAgain
from driftwatch.alerts.sample import STREAM, now_ms, sample_alert, sample_resolution
from driftwatch.alerts.sinks import build_sinks
from driftwatch.alerts.standing import Standing
from driftwatch.config import DaemonConfig, EmailSinkConfig, WebhookSinkConfig
from driftwatch.errors import SinkError

ATTEMPTS = 2


@dataclass(frozen=True)
class Rehearsed:
    """The outcome of the test alert at a sink; `error` is empty if it arrived."""

    sink: str
    error: str


def rehearse(config: DaemonConfig) -> list[Rehearsed]:
    """Send an alert of the lowest severity, and its resolution, to every sink but Kafka's topic.

    Alertmanager gets the alert only, so that it lasts long enough to be routed; it ends after the sink's `expires_s`.

    Raises:
        ConfigError: a sink cannot be built.
    """
    alert = sample_alert(config.alerts.least_severity, at_ms=now_ms())
    impatient = [
        each.model_copy(update={"max_attempts": ATTEMPTS})
        if isinstance(each, WebhookSinkConfig | EmailSinkConfig)
        else each
        for each in config.sinks
    ]
    sinks = build_sinks(config.model_copy(update={"sinks": impatient}))
    outcomes: list[Rehearsed] = []
    try:
        for sink in sinks.each:
            try:
                for each in (alert, sample_resolution(alert)):
                    sink.deliver(each, threading.Event())
                outcomes.append(Rehearsed(sink.name, ""))
            except SinkError as error:
                outcomes.append(Rehearsed(sink.name, str(error)))
        for client in sinks.kept_up:
            standing = Standing(client.describe, [STREAM])
            standing.take(alert, now_ms())
            try:
                client.send(standing.current(now_ms()))
                outcomes.append(Rehearsed(client.name, ""))
            except (TryAgain, SinkError) as error:
                outcomes.append(Rehearsed(client.name, str(error)))
    finally:
        sinks.close()
    return outcomes
