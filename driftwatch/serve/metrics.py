"""Prometheus metrics of everything that the stages report.

Labels are bounded: only configured streams are named. All others, whose names come from messages, are counted as
``unknown`` and have no other metrics.
"""

from __future__ import annotations

from collections.abc import Collection, Set
from functools import singledispatchmethod
from threading import Lock
from typing import get_args

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from driftwatch import __version__
from driftwatch.serve.flow_metrics import FlowMetrics
from driftwatch.serve.histogram import ArrayHistogram
from driftwatch.serve.series import StreamMetrics
from driftwatch.serve.source_metrics import SourceEvent, SourceMetrics
from driftwatch.serve.window_metrics import WindowEvent, WindowMetrics
from driftwatch.stream.events import (
    UNKNOWN,
    AlertRaised,
    BatchOutcome,
    BatchSeen,
    Calibrated,
    DeadLettered,
    Event,
    NotTested,
    ReferenceAwaited,
    ReferenceInUse,
    Reloaded,
    SampleFraction,
    SamplesScored,
    SinkDelivered,
    SinkFailed,
    StageTimed,
    StateKept,
    StreamPaced,
    StreamQuiet,
    StreamsConfigured,
    StreamsHeld,
)
from driftwatch.stream.quiet_alert import QuietAlert

SCORE_BOUNDS = (*(digit * 10.0**power for power in range(5) for digit in (1, 1.5, 2, 3, 4, 6)), 1e5, 1e6)
"""Nats. The bounds are fine for the sake of heat maps, since most samples of a reference have similar scores."""

STAGE_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

Measured = WindowEvent | Calibrated | SampleFraction | StreamPaced | StreamQuiet | ReferenceAwaited
"""Events that only set gauges: with a shared label, the last stream would overwrite the others."""


class Metrics:
    """An observer that keeps the metrics, and renders them for a scrape. Thread-safe.

    Args:
        streams: the configured streams. A stream is also known once its reference is in use.
        severities: the configured severities, so that every alert counter starts at zero.
        sizes: of windows, in samples.
        roles: that will run; each counts as disconnected until it reports its source.
    """

    def __init__(
        self,
        *,
        streams: Collection[str] = (),
        severities: Collection[str] = (),
        sizes: Collection[int] = (),
        roles: Collection[str] = (),
    ) -> None:
        # Process-wide: it would add a second series to each counter, which nothing here needs.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self._severities = tuple(severities)
        self._known: set[str] = set()
        self._lock = Lock()
        # Series that exist while a stream is tested here, and while it is configured.
        self._of_tests, self._of_streams = tests, watched = StreamMetrics(registry), StreamMetrics(registry)
        self._samples = watched.counter("driftwatch_samples_total", "Samples scored.")
        self._fraction = watched.gauge(
            "driftwatch_sample_fraction", "Fraction of the stream's samples that is watched at present."
        )
        self._batches = watched.counter("driftwatch_batches_total", "Messages taken in.", "outcome")
        self._score = ArrayHistogram(
            "driftwatch_sample_score",
            "Divergence of single samples from the reference, in nats.",
            label="stream",
            bounds=SCORE_BOUNDS,
        )
        registry.register(self._score)
        self._budget = watched.gauge("driftwatch_budget_samples", "Samples between false alarms, as configured.")
        self._budget_interval = watched.gauge(
            "driftwatch_budget_interval_samples",
            "Samples between false alarms: bounds of the true figure (95 %).",
            "bound",
        )
        self._satisfiable = watched.gauge(
            "driftwatch_budget_satisfiable",
            "1 if the reference has enough held-out samples to support the false-alarm budget.",
        )
        self._windows = WindowMetrics(registry, tests)
        self._flow = FlowMetrics(tests, watched, sizes)
        self._alerts = watched.counter("driftwatch_alerts_total", "Alerts raised.", "state", "severity")
        self._dead_letters = watched.counter("driftwatch_dead_letters_total", "Messages that were unusable.", "reason")
        self._stage = Histogram(
            "driftwatch_stage_seconds",
            "Time of one pass of a stage.",
            ["stage"],
            buckets=STAGE_BOUNDS,
            registry=registry,
        )
        self._source = SourceMetrics(registry, roles)
        self._state_kept = Gauge(
            "driftwatch_state_kept",
            "1 while the state is saved in its file, 0 while that fails.",
            registry=registry,
        )
        self._state_kept.set(1)
        self._reference = watched.info("driftwatch_reference", "The reference in use.")
        self._awaited = watched.gauge(
            "driftwatch_reference_awaited",
            "1 while panes of the stream wait for the reference that scored them, which is missing here.",
        )
        self._reloads = Counter(
            "driftwatch_reloads_total",
            "Checks for another reference or configuration, by outcome.",
            ["what", "outcome"],
            registry=registry,
        )
        for what in ("reference", "configuration"):
            for outcome in ("taken_up", "refused", "unchanged"):
                self._reloads.labels(what, outcome)
        self._last_sample = watched.gauge(
            "driftwatch_last_sample_timestamp_seconds", "Event time of the sample that was scored last."
        )
        self._delivered = Counter(
            "driftwatch_sink_deliveries_total", "Alerts that reached a sink.", ["sink"], registry=registry
        )
        self._failed = Counter(
            "driftwatch_sink_failures_total", "Alerts that did not reach a sink.", ["sink"], registry=registry
        )
        Info("driftwatch_build", "The running driftwatch.", registry=registry).info({"version": __version__})
        self._configuration = Info("driftwatch_configuration", "What replicas have in common.", registry=registry)
        # Bound once: binding a single-dispatch method takes longer than most events do.
        self._handle = self._take
        self._expect_batches(UNKNOWN)
        for stream in streams:
            self._know(stream)

    def __call__(self, event: Event) -> None:
        """Update the metrics from an event."""
        with self._lock:
            if not isinstance(event, Measured) or event.stream in self._known:
                self._handle(event)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type: OpenMetrics if `accept` requests it, else Prometheus text."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def expect_sinks(self, sinks: Collection[str]) -> None:
        """Start the counters of these sinks at zero, so that the first failure is an increase."""
        for sink in sinks:
            self._delivered.labels(sink)
            self._failed.labels(sink)

    def configured(self, replicated: dict[str, str]) -> None:
        """Tell replicas apart whose configurations differ: see `DaemonConfig.replicated`."""
        self._configuration.info(replicated)

    def _keep_tests(self, streams: Set[str]) -> None:
        self._of_tests.keep(streams)
        self._windows.keep(streams)

    def _expect_batches(self, stream: str) -> None:
        for outcome in get_args(BatchOutcome):
            self._batches.labels(stream, outcome)

    def _label(self, stream: str) -> str:
        return stream if stream in self._known else UNKNOWN

    def _know(self, stream: str) -> None:
        """Start a stream's counters at zero, so that rates and dashboards see their first increment.

        Whether it drifts is not set before it is known: a restart must not look like the end of an alarm.
        """
        if stream in self._known:
            return
        self._known.add(stream)
        self._samples.labels(stream)
        self._expect_batches(stream)
        self._score.observe(stream, np.empty(0))
        for severity in self._severities:
            for state in ("firing", "resolved"):
                self._alerts.labels(stream, state, severity)

    @singledispatchmethod
    def _take(self, event: Event) -> None:
        """Ignore events that no metric counts."""

    @_take.register
    def _(self, event: BatchSeen) -> None:
        self._batches.labels(self._label(event.stream), event.outcome).inc()

    @_take.register
    def _(self, event: SampleFraction) -> None:
        self._fraction.labels(event.stream).set(event.fraction)

    @_take.register
    def _(self, event: SamplesScored) -> None:
        stream = self._label(event.stream)
        self._samples.labels(stream).inc(event.samples)
        self._score.observe(stream, event.scores)
        if event.stream in self._known:
            self._last_sample.labels(stream).set(event.last_timestamp_ms / 1000)

    @_take.register
    def _(self, event: DeadLettered) -> None:
        self._dead_letters.labels(self._label(event.stream), event.reason).inc()

    @_take.register
    def _(self, event: WindowEvent) -> None:
        self._windows.take(event)

    @_take.register
    def _(self, event: Calibrated) -> None:
        stream = event.stream
        self._budget.labels(stream).set(event.budget)
        for bound, samples in zip(("low", "high"), event.interval, strict=True):
            self._budget_interval.labels(stream, bound).set(samples)
        self._satisfiable.labels(stream).set(event.satisfiable)

    @_take.register
    def _(self, event: StreamsHeld) -> None:
        """Drop streams that another daemon has taken over; they would stay as they were, possibly firing for ever."""
        self._keep_tests(event.streams)

    @_take.register
    def _(self, event: StreamQuiet | StreamPaced | NotTested) -> None:
        self._flow.take(event, self._label(event.stream))

    @_take.register
    def _(self, event: StreamsConfigured) -> None:
        """Drop streams that are no longer configured, so that scrapes do not grow without bound."""
        for stream in self._known.difference(event.streams):
            self._score.remove(stream)
        self._known.intersection_update(event.streams)
        self._keep_tests(self._known)
        self._of_streams.keep(self._known | {UNKNOWN})
        for stream in event.streams:
            self._know(stream)

    @_take.register
    def _(self, event: AlertRaised) -> None:
        alert = event.alert
        if isinstance(alert, QuietAlert):
            return
        stream = self._label(alert.stream)
        self._alerts.labels(stream, alert.state, alert.severity).inc()
        if alert.stream in self._known:
            self._windows.alarm(stream, on=alert.state == "firing")

    @_take.register
    def _(self, event: StageTimed) -> None:
        self._stage.labels(event.stage).observe(event.seconds)

    @_take.register
    def _(self, event: SourceEvent) -> None:
        self._source.take(event)

    @_take.register
    def _(self, event: StateKept) -> None:
        self._state_kept.set(not event.trouble)

    @_take.register
    def _(self, event: ReferenceInUse) -> None:
        self._know(event.stream)
        self._reference.labels(event.stream).info({"bundle": event.bundle, "version": event.version})

    @_take.register
    def _(self, event: ReferenceAwaited) -> None:
        self._awaited.labels(event.stream).set(event.waiting)

    @_take.register
    def _(self, event: Reloaded) -> None:
        self._reloads.labels(event.what, event.outcome).inc()

    @_take.register
    def _(self, event: SinkDelivered) -> None:
        self._delivered.labels(event.sink).inc()

    @_take.register
    def _(self, event: SinkFailed) -> None:
        self._failed.labels(event.sink).inc()
