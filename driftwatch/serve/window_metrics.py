"""Prometheus metrics of what tests of a stream's windows came to, and whether its alarm is on."""

from __future__ import annotations

from driftwatch.serve.series import StreamMetrics
from driftwatch.stream.events import BetsMade, StreamState, WindowTested

WindowEvent = WindowTested | BetsMade | StreamState


class WindowMetrics:
    """Keeps them.

    Args:
        tests: makes those that only who tests a stream may tell.
    """

    def __init__(self, tests: StreamMetrics) -> None:
        self._statistic = tests.gauge(
            "driftwatch_window_statistic",
            "Statistic of each detector in the last window, in all and by part.",
            "window",
            "detector",
            "part",
        )
        self._p_value = tests.gauge(
            "driftwatch_window_p_value", "P-value of each detector in the last window.", "window", "detector"
        )
        self._effect = tests.gauge(
            "driftwatch_window_effect_nats",
            "Debiased divergence of the last window from the reference, in nats per sample.",
            "window",
        )
        self._window_end = tests.gauge(
            "driftwatch_window_end_timestamp_seconds", "Event time of the newest sample of the last window.", "window"
        )
        self._block = tests.gauge(
            "driftwatch_window_block_nats",
            "Parts of the divergence of the last window by latent block, in nats per sample.",
            "window",
            "block",
            "part",
        )
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
                self._test(event)
            case BetsMade():
                self._wealth.labels(event.stream).set(event.log_wealth)
                self._wealth_limit.labels(event.stream).set(event.limit)
            case StreamState():
                self.alarm(event.stream, on=event.firing)
                self._threshold.labels(event.stream).set(event.threshold)

    def alarm(self, stream: str, *, on: bool) -> None:
        """Tells whether a stream's alarm is on."""
        self._drift.labels(stream).set(on)

    def _test(self, event: WindowTested) -> None:
        stream, window = event.stream, str(event.window)
        for detector, statistic in event.statistics.items():
            self._statistic.labels(stream, window, detector, "total").set(statistic)
        for detector, parts in event.parts.items():
            for part, value in parts.items():
                self._statistic.labels(stream, window, detector, part).set(value)
        for detector, p_value in event.p_values.items():
            self._p_value.labels(stream, window, detector).set(p_value)
        self._effect.labels(stream, window).set(event.effect_nats)
        self._window_end.labels(stream, window).set(event.end_ms / 1000)
        for block, parts in event.blocks.items():
            for part, value in parts.items():
                self._block.labels(stream, window, block, part).set(value)
