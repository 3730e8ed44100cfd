"""Prometheus metrics of everything that the stages report.

Labels are bounded: a stream is named only if it is configured, and every other one, which comes from the messages
themselves, is counted as ``unknown``.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import singledispatchmethod
from typing import get_args

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from driftwatch import __version__
from driftwatch.serve.histogram import ArrayHistogram
from driftwatch.stream.events import (
    AlertRaised,
    BatchSeen,
    BetsMade,
    DeadLettered,
    Event,
    IntakeQueued,
    LagMeasured,
    Outcome,
    ReferenceInUse,
    RequestAnswered,
    SamplesScored,
    SinkDelivered,
    SinkFailed,
    StageTimed,
    StreamState,
    WindowTested,
)

UNKNOWN_STREAM = "unknown"
SCORE_BOUNDS = (*(digit * 10.0**power for power in range(6) for digit in (1, 2, 5)), 1e6)
STAGE_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """An observer that keeps the metrics, and writes them for a scrape. Thread-safe.

    Args:
        registry: where to register them; one of its own if None.
        streams: the configured streams. A stream is also known once its reference is in use.
        severities: the configured severities, so that every alert counter starts at zero.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        streams: Collection[str] = (),
        severities: Collection[str] = (),
    ) -> None:
        # Process-wide: a second series for each counter, which nothing here needs.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry() if registry is None else registry
        self._severities = tuple(severities)
        self._known: set[str] = set()
        self._samples = Counter("driftwatch_samples_total", "Samples scored.", ["stream"], registry=registry)
        self._batches = Counter(
            "driftwatch_batches_total", "Messages taken in.", ["stream", "outcome"], registry=registry
        )
        self._score = ArrayHistogram(
            "driftwatch_sample_score",
            "Divergence of single samples from the reference, in nats.",
            label="stream",
            bounds=SCORE_BOUNDS,
        )
        registry.register(self._score)
        self._statistic = Gauge(
            "driftwatch_window_statistic",
            "Statistic of each detector in the last window, in all and by part.",
            ["stream", "window", "detector", "part"],
            registry=registry,
        )
        self._p_value = Gauge(
            "driftwatch_window_p_value",
            "P-value of each detector in the last window.",
            ["stream", "window", "detector"],
            registry=registry,
        )
        self._effect = Gauge(
            "driftwatch_window_effect_nats",
            "Debiased divergence of the last window from the reference, in nats per sample.",
            ["stream", "window"],
            registry=registry,
        )
        self._wealth = Gauge(
            "driftwatch_martingale_log_wealth",
            "Logarithm of the wealth of the gambler against the stream's being as the reference, in nats.",
            ["stream"],
            registry=registry,
        )
        self._drift = Gauge("driftwatch_drift", "1 while the stream's alarm is on.", ["stream"], registry=registry)
        self._alerts = Counter(
            "driftwatch_alerts_total", "Alerts written.", ["stream", "state", "severity"], registry=registry
        )
        self._dead_letters = Counter(
            "driftwatch_dead_letters_total", "Messages that were unusable.", ["stream", "reason"], registry=registry
        )
        self._stage = Histogram(
            "driftwatch_stage_seconds",
            "Time of one pass of a stage.",
            ["stage"],
            buckets=STAGE_BOUNDS,
            registry=registry,
        )
        self._lag = Gauge(
            "driftwatch_consumer_lag", "Messages not read yet.", ["topic", "partition"], registry=registry
        )
        self._reference = Info("driftwatch_reference", "The reference in use.", ["stream"], registry=registry)
        self._last_sample = Gauge(
            "driftwatch_last_sample_timestamp_seconds",
            "Event time of the sample that was scored last.",
            ["stream"],
            registry=registry,
        )
        self._delivered = Counter(
            "driftwatch_sink_deliveries_total", "Alerts that reached a sink.", ["sink"], registry=registry
        )
        self._failed = Counter(
            "driftwatch_sink_failures_total", "Alerts that did not reach a sink.", ["sink"], registry=registry
        )
        self._requests = Counter(
            "driftwatch_intake_requests_total", "Requests to the intake.", ["outcome"], registry=registry
        )
        self._queue_messages = Gauge(
            "driftwatch_intake_queue_messages", "Messages that wait in the intake's queue.", registry=registry
        )
        self._queue_bytes = Gauge(
            "driftwatch_intake_queue_bytes", "Bytes that wait in the intake's queue.", registry=registry
        )
        Info("driftwatch_build", "The running driftwatch.", registry=registry).info({"version": __version__})
        for stream in streams:
            self._know(stream)

    def __call__(self, event: Event) -> None:
        """Take an event into account."""
        self._take(event)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type: OpenMetrics if `accept` asks for it, else Prometheus text."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _label(self, stream: str) -> str:
        return stream if stream in self._known else UNKNOWN_STREAM

    def _know(self, stream: str) -> None:
        """Counters of a stream start at zero, so that rates and dashboards see their first increment.

        Whether it drifts is not said before it is known: a restart must not look like the end of an alarm.
        """
        if stream in self._known:
            return
        self._known.add(stream)
        self._samples.labels(stream)
        self._batches.labels(stream, "ok")
        self._score.observe(stream, np.empty(0))
        for severity in self._severities:
            for state in ("firing", "resolved"):
                self._alerts.labels(stream, state, severity)

    @singledispatchmethod
    def _take(self, event: Event) -> None:
        """Events that no metric counts."""

    @_take.register
    def _(self, event: BatchSeen) -> None:
        self._batches.labels(self._label(event.stream), event.outcome).inc()

    @_take.register
    def _(self, event: SamplesScored) -> None:
        stream = self._label(event.stream)
        self._samples.labels(stream).inc(event.samples)
        self._score.observe(stream, event.scores)
        self._last_sample.labels(stream).set(event.last_timestamp_ms / 1000)

    @_take.register
    def _(self, event: DeadLettered) -> None:
        self._dead_letters.labels(self._label(event.stream), event.reason).inc()

    @_take.register
    def _(self, event: WindowTested) -> None:
        stream, window = self._label(event.stream), str(event.window)
        for detector, statistic in event.statistics.items():
            self._statistic.labels(stream, window, detector, "total").set(statistic)
        for detector, parts in event.parts.items():
            for part, value in parts.items():
                self._statistic.labels(stream, window, detector, part).set(value)
        for detector, p_value in event.p_values.items():
            self._p_value.labels(stream, window, detector).set(p_value)
        self._effect.labels(stream, window).set(event.effect_nats)

    @_take.register
    def _(self, event: BetsMade) -> None:
        self._wealth.labels(self._label(event.stream)).set(event.log_wealth)

    @_take.register
    def _(self, event: StreamState) -> None:
        self._drift.labels(self._label(event.stream)).set(event.firing)

    @_take.register
    def _(self, event: AlertRaised) -> None:
        alert = event.alert
        stream = self._label(alert.stream)
        self._alerts.labels(stream, alert.state, alert.severity).inc()
        self._drift.labels(stream).set(alert.state == "firing")

    @_take.register
    def _(self, event: StageTimed) -> None:
        self._stage.labels(event.stage).observe(event.seconds)

    @_take.register
    def _(self, event: LagMeasured) -> None:
        self._lag.labels(event.topic, str(event.partition)).set(event.lag)

    @_take.register
    def _(self, event: ReferenceInUse) -> None:
        self._know(event.stream)
        self._reference.labels(event.stream).info({"bundle": event.bundle, "version": event.version})

    @_take.register
    def _(self, event: SinkDelivered) -> None:
        self._delivered.labels(event.sink).inc()

    @_take.register
    def _(self, event: SinkFailed) -> None:
        self._failed.labels(event.sink).inc()

    @_take.register
    def _(self, event: RequestAnswered) -> None:
        self._requests.labels(event.outcome).inc()

    @_take.register
    def _(self, event: IntakeQueued) -> None:
        for outcome in get_args(Outcome):
            self._requests.labels(outcome)
        self._queue_messages.set(event.messages)
        self._queue_bytes.set(event.bytes)
