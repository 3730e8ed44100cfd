"""What the status page shows: each stream's state, its last windows, and the last alerts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch import __version__
from driftwatch.stream.alert import Alert, rfc3339
from driftwatch.stream.events import AlertRaised, Event, ReferenceInUse, SamplesScored, StreamState, WindowTested

HISTORY = 600
ALERTS = 50


class _Ring:
    """The last `HISTORY` windows of one size as ``(end ms, p-value, effect in nats)``; 14 KB however long it runs."""

    def __init__(self) -> None:
        self._rows: NDArray[np.float64] = np.empty((HISTORY, 3))
        self._count = 0

    def add(self, end_ms: int, p_value: float, effect_nats: float) -> None:
        self._rows[self._count % HISTORY] = end_ms, p_value, effect_nats
        self._count += 1

    def columns(self) -> dict[str, list[float | None]]:
        """Oldest first; what is not finite is None."""
        rows = self._rows[: self._count] if self._count < HISTORY else np.roll(self._rows, -self._count, axis=0)
        names = ("end_ms", "p_value", "effect_nats")
        return {name: [_finite(value) for value in rows[:, place].tolist()] for place, name in enumerate(names)}

    def last(self) -> dict[str, float | None]:
        end_ms, p_value, effect_nats = (float(value) for value in self._rows[(self._count - 1) % HISTORY])
        return {"end_ms": end_ms, "p_value": _finite(p_value), "effect_nats": _finite(effect_nats)}


@dataclass
class _Stream:
    samples: int = 0
    last_sample_ms: int | None = None
    reference: tuple[str, str] | None = None
    firing: bool | None = None
    severity: str | None = None
    threshold: float | None = None
    windows: dict[int, _Ring] = field(default_factory=dict)


class Status:
    """An observer that keeps what the status page shows, bounded in memory. Thread-safe.

    Streams are those whose reference is in use; what is said of others is dropped.
    """

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}
        self._alerts: deque[Alert] = deque(maxlen=ALERTS)
        self._lock = Lock()

    def __call__(self, event: Event) -> None:
        """Take an event into account."""
        with self._lock:
            match event:
                case ReferenceInUse():
                    self._streams.setdefault(event.stream, _Stream()).reference = (event.bundle, event.version)
                case AlertRaised():
                    self._alert(event.alert)
                case SamplesScored() | WindowTested() | StreamState():
                    if (stream := self._streams.get(event.stream)) is not None:
                        _update(stream, event)

    def to_json(self, stream: str | None = None) -> dict[str, Any]:
        """JSON-able state of all streams, and the window history of one of them.

        Args:
            stream: whose history; if None, of a stream that is firing, or else of the first.

        Returns:
            ``version``, ``streams`` with their last windows by size, ``history`` of one stream (None if there is no
            such stream), and ``alerts``, newest first.
        """
        with self._lock:
            chosen = self._default() if stream is None else stream
            kept = self._streams.get(chosen) if chosen is not None else None
            history = kept and {
                "stream": chosen,
                "windows": {str(size): ring.columns() for size, ring in sorted(kept.windows.items())},
            }
            return {
                "version": __version__,
                "streams": [_overview(name, each) for name, each in self._streams.items()],
                "history": history,
                "alerts": [_summary(alert) for alert in reversed(self._alerts)],
            }

    def _default(self) -> str | None:
        firing = (name for name, stream in self._streams.items() if stream.firing)
        return next(firing, next(iter(self._streams), None))

    def _alert(self, alert: Alert) -> None:
        if all(alert.id != known.id for known in self._alerts):
            self._alerts.append(alert)
        stream = self._streams.get(alert.stream)
        if stream is not None:
            stream.firing = alert.state == "firing"
            stream.severity = alert.severity if stream.firing else None


def _update(stream: _Stream, event: SamplesScored | WindowTested | StreamState) -> None:
    match event:
        case SamplesScored():
            stream.samples += event.samples
            stream.last_sample_ms = event.last_timestamp_ms
        case WindowTested():
            ring = stream.windows.setdefault(event.window, _Ring())
            ring.add(event.end_ms, event.p_values["combined"], event.effect_nats)
        case StreamState():
            stream.firing, stream.threshold, stream.severity = event.firing, event.threshold, event.severity


def _overview(name: str, stream: _Stream) -> dict[str, Any]:
    return {
        "name": name,
        "samples": stream.samples,
        "last_sample_ms": stream.last_sample_ms,
        "reference": stream.reference and {"bundle": stream.reference[0], "version": stream.reference[1]},
        "firing": stream.firing,
        "severity": stream.severity,
        "threshold": stream.threshold,
        "windows": {str(size): ring.last() for size, ring in sorted(stream.windows.items())},
    }


def _summary(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "stream": alert.stream,
        "state": alert.state,
        "severity": alert.severity,
        "effect_nats": _finite(alert.effect.nats),
        "p_value": _finite(alert.p_value),
        "window": alert.window.size,
        "end": rfc3339(alert.window.end_ms),
        "explanation": alert.explanation,
        "heat_map": alert.heat_map and alert.heat_map.to_json(),
        "reference": {"bundle": alert.reference[0], "version": alert.reference[1]},
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
