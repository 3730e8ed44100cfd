"""Prometheus Alertmanager, API v2: alerts as labels and annotations, sent again for as long as they fire.

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
"""How long it may be away before that is a failure: it is whenever it is updated, and hears all of it afterwards."""

log = structlog.get_logger("driftwatch.alerts")


class AlertmanagerClient:
    """One Alertmanager.

    Args:
        config: how to reach it; of several addresses the first.
        name: for logs and metrics.
        links: for alerts to point at.
    """

    def __init__(self, config: AlertmanagerSinkConfig, name: str, links: Links) -> None:
        self.name = name
        self.config = config
        self._links = links
        self._url = f"{config.urls[0].rstrip('/').removesuffix(API)}{API}"
        self._client = httpx.Client(**config.client_options(f"sink {name}"))

    def describe(self, alert: Announcement) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """An alert's labels, which say what it is, and its annotations, which say how it is."""
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

    def send(self, told: Sequence[Series]) -> None:
        """Tells what fires and what has ended; whatever is refused, all of it.

        Raises:
            TryAgain: there was no answer, or one that may change.
            SinkError: something was refused.
        """
        now_ms, refused = int(time.time() * 1000), list[SinkError]()
        for first in range(0, len(told), BATCH):
            alerts = [self._write(series, now_ms) for series in told[first : first + BATCH]]
            try:
                post(self._client, self._url, orjson.dumps(alerts), "application/json", self.name)
            except SinkError as error:
                refused.append(error)
        if refused:
            raise refused[0]

    def close(self) -> None:
        """Closes connections."""
        self._client.close()

    def _write(self, series: Series, now_ms: int) -> Mapping[str, Any]:
        """As the API has it. What a broker whose clock is ahead says began in the future would be refused."""
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
    """Keeps one Alertmanager at what fires, in a thread of its own: at once when that changes, and again and again.

    What is told is always the whole of it, so an Alertmanager that was away or has lost its memory is soon right
    again, and no alert is ever given up.

    Args:
        client: that speaks with it.
        streams: that are watched, which may change.
        observer: told of deliveries and failures.
        saved: file that the state is kept in, where no topic keeps it; None to keep none.
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
        self._news = threading.Event()
        self._standing = self.blank()
        # Of alerts that are taken and not told yet, the contexts of their announcements.
        self._untold: list[str] = []
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
        """A state in which nothing has ever fired."""
        return Standing(self._client.describe, self._streams)

    def submit(self, alert: Announcement) -> None:
        """Takes an alert that was just raised; never waits for the Alertmanager."""
        self.take(alert, int(time.time() * 1000))

    def take(self, alert: Announcement, told_ms: int) -> None:
        """Takes an alert that was written at a time, milliseconds since the epoch."""
        with self._lock:
            if not self._standing.take(alert, told_ms):
                return
            self._untold.append(alert.announced)
            self._save()
        self._news.set()

    def replace(self, standing: Standing) -> None:
        """Takes up a state that was read from the topic."""
        with self._lock:
            self._standing = standing
        self._news.set()

    def run(self, stop: threading.Event) -> None:
        """Keeps it up until told to stop; what is new by then is still tried once. What fires goes on firing."""
        while not stop.is_set():
            if self._news.wait(WAKE_S):
                self._news.clear()
                self._due = 0.0
            if time.monotonic() >= self._due:
                self._tell()
        if self._untold:
            self._tell()

    def _save(self) -> None:
        """Keeps the state; if it cannot be, it is told of, and kept as soon as it can be: the stream goes on."""
        if self._path is None:
            return
        try:
            self._standing.save(self._path)
        except OSError as error:
            log.warning("what fires is not kept", sink=self.sink, path=str(self._path), error=error.strerror)
            self._observe(SinkFailed(self.sink, f"{self._path}: {error.strerror}"))
            self._unsaved = True
        else:
            self._unsaved = False

    def _tell(self) -> None:
        with self._lock:
            if self._unsaved:
                self._save()
            told, untold = self._standing.told(int(time.time() * 1000)), tuple(self._untold)
        started = time.monotonic()
        self._due = started + self._client.config.resend_s
        if not told:
            return
        tracer = self._tracer if untold else UNTRACED
        with tracer.span("deliver", parent=untold[-1] if untold else "", links=untold, sink=self.sink) as span:
            try:
                self._client.send(told)
            except (TryAgain, SinkError) as error:
                span.fail(str(error))
                self._failed(error, started)
                return
        self._pause_s, self._failing_since = FIRST_WAIT_S, None
        if self._refused:
            log.info("Alertmanager takes alerts again", sink=self.sink)
            self._refused = ""
        with self._lock:
            del self._untold[: len(untold)]
        for _ in untold:
            self._observe(SinkDelivered(self.sink))
        self._observe(StageTimed("sink", time.monotonic() - started))

    def _failed(self, error: TryAgain | SinkError, started: float) -> None:
        if str(error) != self._refused:
            self._refused = str(error)
            log.error("Alertmanager not told; trying again", sink=self.sink, error=self._refused)
        self._failing_since = self._failing_since or started
        if isinstance(error, SinkError) or time.monotonic() - self._failing_since >= AWAY_S:
            self._observe(SinkFailed(self.sink, self._refused))
        asked_s = error.after_s if isinstance(error, TryAgain) else 0.0
        self._due = started + max(asked_s, min(self._pause_s, self._client.config.resend_s))
        self._pause_s *= 2
