"""What the status page shows: each stream's state, its last windows, and the last alerts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from driftwatch import __version__
from driftwatch.serve.memory import finite
from driftwatch.serve.stream_status import StreamEvent, StreamStatus
from driftwatch.stream.alert import Alert, rfc3339
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.events import (
    AlertRaised,
    AlertRecalled,
    Event,
    IntakeQueued,
    LagMeasured,
    PartitionsHeld,
    ReferenceInUse,
    StreamsConfigured,
    StreamsHeld,
)
from driftwatch.stream.quiet_alert import QuietAlert

ALERTS = 50


@dataclass(frozen=True)
class Watched:
    """The configuration as far as the page needs it to say what is still to come.

    Args:
        streams: their names, in the order of the configuration.
        sizes: of windows, in samples, or lengths of time.
        roles: of this daemon.
    """

    streams: tuple[str, ...] = ()
    sizes: tuple[int | str, ...] = ()
    roles: tuple[str, ...] = ()


class Status:
    """An observer that keeps what the status page shows, in bounded memory. Thread-safe.

    It covers streams that are configured or whose reference is in use; events of others are ignored.

    Args:
        watched: what is configured.
        clock: monotonic, seconds.
    """

    def __init__(self, watched: Watched | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._watched = watched or Watched()
        self._clock = clock
        self._streams: dict[str, StreamStatus] = {name: self._stream(name) for name in self._watched.streams}
        self._alerts: deque[Announcement] = deque(maxlen=ALERTS)
        self._lag: dict[str, dict[int, int]] = {}
        self._queued: IntakeQueued | None = None
        self._lock = Lock()

    def __call__(self, event: Event) -> None:
        """Update from an event."""
        with self._lock:
            match event:
                case ReferenceInUse():
                    self._streams.setdefault(event.stream, self._stream(event.stream)).take(event)
                case _ if isinstance(event, StreamEvent):
                    if (stream := self._streams.get(event.stream)) is not None:
                        stream.take(event)
                case AlertRaised() | AlertRecalled():
                    self._alert(event.alert)
                case StreamsConfigured():
                    known = self._streams
                    self._streams = {name: known.get(name) or self._stream(name) for name in event.streams}
                case StreamsHeld():
                    for name in self._streams.keys() - event.streams:
                        self._streams[name].hand_over()
                case LagMeasured():
                    self._lag.setdefault(event.topic, {})[event.partition] = event.lag
                case PartitionsHeld():
                    lags = self._lag.get(event.topic, {})
                    self._lag[event.topic] = {number: lag for number, lag in lags.items() if number in event.partitions}
                case IntakeQueued():
                    self._queued = event

    def to_json(self, stream: str | None = None) -> dict[str, Any]:
        """The state of all streams, and the details of one, JSON-able.

        Args:
            stream: which one; if None, one that is firing, or else the first.

        Returns:
            ``version``, ``roles``, ``sizes``; ``lag`` by topic and ``queued`` in the intake, in messages; ``streams``
            with their last windows by size; ``detail`` of one stream (None if there is no such stream); and
            ``alerts``, newest first.
        """
        with self._lock:
            chosen = self._default() if stream is None else self._streams.get(stream)
            # Sorted and then reversed, so that of alerts with equal times the one that came last is first.
            alerts = sorted(self._alerts, key=lambda alert: alert.end_ms)[::-1]
            return {
                "version": __version__,
                "roles": list(self._watched.roles),
                "sizes": list(self._watched.sizes),
                "lag": {topic: sum(lags.values()) for topic, lags in self._lag.items() if lags},
                "queued": self._queued and self._queued.messages,
                "streams": [each.overview() for each in self._streams.values()],
                "detail": chosen and chosen.detail(),
                "alerts": [_summary(alert) for alert in alerts],
            }

    def _stream(self, name: str) -> StreamStatus:
        return StreamStatus(name, self._watched.sizes, self._clock)

    def _default(self) -> StreamStatus | None:
        firing = (stream for stream in self._streams.values() if stream.firing)
        return next(firing, next(iter(self._streams.values()), None))

    def _alert(self, alert: Announcement) -> None:
        if all(alert.id != known.id for known in self._alerts):
            self._alerts.append(alert)
        if isinstance(alert, Alert) and (stream := self._streams.get(alert.stream)) is not None:
            stream.alert(alert)


def _summary(alert: Announcement) -> dict[str, Any]:
    summary = {
        "id": alert.id,
        "kind": "quiet" if isinstance(alert, QuietAlert) else "drift",
        "stream": alert.stream,
        "state": alert.state,
        "severity": alert.severity,
        "since": rfc3339(alert.began_ms),
        "end": rfc3339(alert.end_ms),
        "explanation": alert.explanation,
    }
    if isinstance(alert, QuietAlert):
        return summary
    return summary | {
        "effect_nats": finite(alert.effect.nats),
        "effect_interval": [finite(alert.effect.low), finite(alert.effect.high)],
        "p_value": finite(alert.p_value),
        "window": alert.window.size,
        "heat_map": alert.heat_map and alert.heat_map.to_json(),
        "reference": {"bundle": alert.reference[0], "version": alert.reference[1]},
        "detectors": [
            {"name": each.name, "statistic": finite(each.statistic), "p_value": finite(each.p_value)}
            for each in alert.detectors
        ],
        "offsets": alert.window.to_json()["offsets"],
    }
