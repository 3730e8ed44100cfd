"""Prometheus metrics of what tests of a stream's windows came to, and whether its alarm is on."""

from __future__ import annotations

from collections.abc import Set

from prometheus_client import CollectorRegistry

from driftwatch.serve.last_windows import LastWindows
from driftwatch.serve.series import StreamMetrics
from driftwatch.stream.events import BetsMade, StreamState, WindowTested

WindowEvent = WindowTested | BetsMade | StreamState


class WindowMetrics:
    """Keeps them.

    Args:
        registry: where to register those of windows.
        tests: makes the others that only who tests a stream may tell.
    """

    def __init__(self, registry: CollectorRegistry, tests: StreamMetrics) -> None:
        self._last = LastWindows()
        registry.register(self._last)
        self._threshold = tests.gauge(
            "driftwatch_window_threshold", "P-value at or below which a window starts an alarm."
        )
        self._wealth = tests.gauge(
            "driftwatch_martingale_log_wealth",
            "Logarithm of the wealth of the gambler against the stream's being as the reference, in nats.",
        )
        self._wealth_limit = tests.gauge(
            "driftwatch_martingale_log_wealth_limit",
            "Logarithm of the wealth that sets the anytime alarm off, in nats.",
        )
        self._drift = tests.gauge("driftwatch_drift", "1 while the stream's alarm is on.")

    def take(self, event: WindowEvent) -> None:
        """Takes an event into account."""
        match event:
            case WindowTested():
                self._last.take(event)
            case BetsMade():
                self._wealth.labels(event.stream).set(event.log_wealth)
                self._wealth_limit.labels(event.stream).set(event.limit)
            case StreamState():
                self.alarm(event.stream, on=event.firing)
                self._threshold.labels(event.stream).set(event.threshold)

    def alarm(self, stream: str, *, on: bool) -> None:
        """Tells whether a stream's alarm is on."""
        self._drift.labels(stream).set(on)

    def keep(self, streams: Set[str]) -> None:
        """Takes back what was told of the windows of all other streams."""
        self._last.keep(streams)
