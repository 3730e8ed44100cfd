"""Prometheus Alertmanager, API v2: alerts as labels and annotations, sent repeatedly for as long as they fire.

https://prometheus.io/docs/alerting/latest/alerts_api
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import orjson
import structlog

from driftwatch.alerts.attempts import FIRST_WAIT_S, TryAgain
from driftwatch.alerts.http import post
from driftwatch.alerts.standing import Series, Standing
from driftwatch.alerts.wording import (
    Links,
    compose,
    effect_words,
    examples_words,
    moment,
    p_words,
    window_words,
)
from driftwatch.config import AlertmanagerSinkConfig
from driftwatch.errors import SinkError
from driftwatch.stream.alert import rfc3339
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.events import Observer, SinkDelivered, SinkFailed, StageTimed
from driftwatch.stream.quiet_alert import QuietAlert
from driftwatch.tracing import UNTRACED, Tracer

ALERT_NAME = "ModelInputDrift"
QUIET_NAME = "ModelInputQuiet"
API = "/api/v2/alerts"
BATCH = 64
WAKE_S = 0.2
AWAY_S = 120.0
"""How long Alertmanager may be away before that counts as a failure: it may be restarting, and catches up then."""

log = structlog.get_logger("driftwatch.alerts")


class AlertmanagerClient:
    """A client of one Alertmanager.

    Args:
        config: how to reach it; the first of several addresses is used.
        name: for logs and metrics.
        links: for alerts to point to.
    """

    def __init__(self, config: AlertmanagerSinkConfig, name: str, links: Links) -> None:
        self.name = name
        self.config = config
        self._links = links
        self._url = f"{config.urls[0].rstrip('/').removesuffix(API)}{API}"
        self._client = httpx.Client(**config.client_options(f"sink {name}"))

    def describe(self, alert: Announcement) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """An alert's labels, which identify it, and its annotations, which describe it."""
        labels = {**self.config.labels, "stream": alert.stream, "severity": alert.severity}
        annotations = {
            "summary": compose(alert, self._links).title,
            "description": alert.explanation,
            "since": moment(alert.began_ms),
            "runbook_url": self._links.runbook,
        }
        if isinstance(alert, QuietAlert):
            labels["alertname"] = QUIET_NAME
        else:
            labels |= {"alertname": ALERT_NAME, "reference": alert.reference[0]}
            annotations |= {
                "effect": effect_words(alert),
                "p_value": p_words(alert.p_value).removeprefix("p ").removeprefix("= "),
                "window": window_words(alert),
                "samples": examples_words(alert),
                "reference_version": alert.reference[1],
            }
        return labels, {name: text for name, text in annotations.items() if text}

    def send(self, alerts: Sequence[Series]) -> None:
        """Send firing and ended alerts; all are sent, even if some are rejected.

        Raises:
            TryAgain: there was no answer, or one that may change.
            SinkError: some alerts were rejected.
        """
        now_ms, refused = int(time.time() * 1000), list[SinkError]()
        for first in range(0, len(alerts), BATCH):
            batch = [self._write(series, now_ms) for series in alerts[first : first + BATCH]]
            try:
                post(self._client, self._url, orjson.dumps(batch), "application/json", self.name)
            except SinkError as error:
                refused.append(error)
        if refused:
            raise refused[0]

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _write(self, series: Series, now_ms: int) -> Mapping[str, Any]:
        """An alert in the API's format. Start times in the future, from a broker's wrong clock, would be rejected."""
        ends_ms = (
            now_ms + round(1000 * self.config.expires_s) if series.ends_ms is None else min(series.ends_ms, now_ms)
        )
        written = {
            "labels": series.labels,
            "annotations": series.annotations,
            "startsAt": rfc3339(min(series.starts_ms, now_ms)),
            "endsAt": rfc3339(ends_ms),
        }
        page = self._links.stream(series.stream)
        return {**written, "generatorURL": page} if page else written


class AlertmanagerUpkeep:
    """Keeps one Alertmanager informed of what fires, in its own thread: on each change, and at regular intervals.

    The whole state is sent each time. So an Alertmanager that was away or has lost its state soon has it again, and no
    alert is ever given up.

    Args:
        client: for the Alertmanager.
        streams: the streams that are watched; they may change.
        observer: receives events about deliveries and failures.
        saved: file for the state, where no topic keeps it; None to keep none.
        tracer: records the deliveries.
    """

    def __init__(
        self,
        client: AlertmanagerClient,
        streams: Collection[str],
        observer: Observer,
        saved: Path | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self.name = f"sink.{client.name}"
        self._client = client
        self._streams = streams
        self._observe = observer
        self._path = saved
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._standing = self.blank()
        # Contexts of the announcements that are not delivered yet.
        self._undelivered: list[str] = []
        self._tracer = tracer
        self._due = 0.0
        self._pause_s = FIRST_WAIT_S
        self._refused = ""
        self._failing_since: float | None = None
        self._unsaved = False
        if saved is not None:
            self._standing.load(saved)

    @property
    def sink(self) -> str:
        """The sink's name, in metrics."""
        return self._client.name

    def blank(self) -> Standing:
        """An empty state, in which nothing has ever fired."""
        return Standing(self._client.describe, self._streams)

    def submit(self, alert: Announcement) -> None:
        """Accept an alert that was just raised; never waits for the Alertmanager."""
        self.take(alert, int(time.time() * 1000))

    def take(self, alert: Announcement, written_ms: int) -> None:
        """Accept an alert that was written at the given clock time, milliseconds since the epoch."""
        with self._lock:
            if not self._standing.take(alert, written_ms):
                return
            self._undelivered.append(alert.announced_in)
            self._save()
        self._changed.set()

    def replace(self, standing: Standing) -> None:
        """Replace the state by one that was read from the topic."""
        with self._lock:
            self._standing = standing
        self._changed.set()

    def run(self, stop: threading.Event) -> None:
        """Keep sending until `stop` is set, then send pending news once more. Firing alerts are not ended."""
        while not stop.is_set():
            if self._changed.wait(WAKE_S):
                self._changed.clear()
                self._due = 0.0
            if time.monotonic() >= self._due:
                self._deliver()
        if self._undelivered:
            self._deliver()

    def _save(self) -> None:
        """Save the state; on failure, report it and save later: the stream continues."""
        if self._path is None:
            return
        try:
            self._standing.save(self._path)
        except OSError as error:
            log.warning("firing alerts not saved", sink=self.sink, path=str(self._path), error=error.strerror)
            self._observe(SinkFailed(self.sink, f"{self._path}: {error.strerror}"))
            self._unsaved = True
        else:
            self._unsaved = False

    def _deliver(self) -> None:
        with self._lock:
            if self._unsaved:
                self._save()
            alerts, contexts = self._standing.current(int(time.time() * 1000)), tuple(self._undelivered)
        started = time.monotonic()
        self._due = started + self._client.config.resend_s
        if not alerts:
            # What could not be delivered has been over for too long to be sent: nothing fails any more.
            self._settle(contexts)
            return
        tracer = self._tracer if contexts else UNTRACED
        with tracer.span("deliver", parent=contexts[-1] if contexts else "", links=contexts, sink=self.sink) as span:
            try:
                self._client.send(alerts)
            except (TryAgain, SinkError) as error:
                span.fail(str(error))
                self._failed(error, started)
                return
        if self._refused:
            log.info("delivery to Alertmanager works again", sink=self.sink)
        self._settle(contexts)
        for _ in contexts:
            self._observe(SinkDelivered(self.sink))
        self._observe(StageTimed("sink", time.monotonic() - started))

    def _settle(self, contexts: Sequence[str]) -> None:
        """Forget the first undelivered alerts, which have these contexts, and that delivery failed."""
        with self._lock:
            del self._undelivered[: len(contexts)]
        self._pause_s, self._failing_since, self._refused = FIRST_WAIT_S, None, ""

    def _failed(self, error: TryAgain | SinkError, started: float) -> None:
        if str(error) != self._refused:
            self._refused = str(error)
            log.error("delivery to Alertmanager failed; trying again", sink=self.sink, error=self._refused)
        self._failing_since = self._failing_since or started
        if isinstance(error, SinkError) or time.monotonic() - self._failing_since >= AWAY_S:
            self._observe(SinkFailed(self.sink, self._refused))
        asked_s = error.after_s if isinstance(error, TryAgain) else 0.0
        self._due = started + max(asked_s, min(self._pause_s, self._client.config.resend_s))
        self._pause_s *= 2
