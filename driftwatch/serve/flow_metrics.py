"""Prometheus metrics of a stream's flow: whether samples come, how fast, and what windows by time miss."""

from __future__ import annotations

from collections.abc import Collection

from driftwatch.serve.series import StreamMetrics
from driftwatch.stream.events import NotTested, StreamPaced, StreamQuiet


class FlowMetrics:
    """Metrics of a stream's flow.

    Args:
        tests: makes the metrics that only the daemon that tests a stream may report.
        watched: makes the others.
        sizes: of windows, in samples.
    """

    def __init__(self, tests: StreamMetrics, watched: StreamMetrics, sizes: Collection[int]) -> None:
        self._sizes = tuple(sizes)
        self._quiet = tests.gauge("driftwatch_stream_quiet", "1 while the stream is silent.")
        self._fill = tests.gauge(
            "driftwatch_window_fill_seconds",
            "Time that a window takes to fill at the stream's present rate.",
            "window",
        )
        self._late = watched.counter(
            "driftwatch_late_samples_total", "Samples that came too late for a window by time."
        )
        self._untested = watched.counter(
            "driftwatch_windows_untested_total",
            "Windows by time that were due with too few samples to be tested.",
            "window",
        )

    def take(self, event: NotTested | StreamPaced | StreamQuiet, stream: str) -> None:
        """Update the metrics from an event, under a stream's label."""
        match event:
            case StreamQuiet():
                self._quiet.labels(stream).set(event.since_ms is not None)
            case StreamPaced():
                for size in self._sizes:
                    self._fill.labels(stream, str(size)).set(size / event.samples_per_second)
            case NotTested():
                self._late.labels(stream).inc(event.late)
                for window in event.windows:
                    self._untested.labels(stream, window).inc()
