"""Prometheus metrics of a stream's tested windows, and of whether its alarm is active."""

from __future__ import annotations

from collections.abc import Set

from prometheus_client import CollectorRegistry

from driftwatch.serve.last_windows import LastWindows
from driftwatch.serve.series import StreamMetrics
from driftwatch.stream.events import BetsMade, StreamState, WindowTested

WindowEvent = WindowTested | BetsMade | StreamState


class WindowMetrics:
    """Metrics of tested windows.

    Args:
        registry: where to register the metrics of windows.
        tests: makes the others, which only the daemon that tests a stream may report.
    """

    def __init__(self, registry: CollectorRegistry, tests: StreamMetrics) -> None:
        self._last = LastWindows()
        registry.register(self._last)
        self._threshold = tests.gauge(
            "driftwatch_window_threshold", "P-value at or below which a window starts an alarm."
        )
        self._wealth = tests.gauge(
            "driftwatch_martingale_log_wealth",
            "Log of the anytime alarm's wealth from betting that the stream has drifted, in nats.",
        )
        self._wealth_limit = tests.gauge(
            "driftwatch_martingale_log_wealth_limit",
            "Log of the wealth that triggers the anytime alarm, in nats.",
        )
        self._drift = tests.gauge("driftwatch_drift", "1 while the stream's alarm is active.")

    def take(self, event: WindowEvent) -> None:
        """Update the metrics from an event."""
        match event:
            case WindowTested():
                self._last.take(event.result)
            case BetsMade():
                self._wealth.labels(event.stream).set(event.log_wealth)
                self._wealth_limit.labels(event.stream).set(event.limit)
            case StreamState():
                self.alarm(event.stream, on=event.firing)
                self._threshold.labels(event.stream).set(event.threshold)

    def alarm(self, stream: str, *, on: bool) -> None:
        """Set whether a stream's alarm is active."""
        self._drift.labels(stream).set(on)

    def keep(self, streams: Set[str]) -> None:
        """Remove the metrics of all other streams."""
        self._last.keep(streams)
