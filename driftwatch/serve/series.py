"""Metrics by stream, of which a stream's series can be removed at a cost that does not depend on the other streams."""

from __future__ import annotations

from collections.abc import Set
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Info
from prometheus_client.metrics import MetricWrapperBase

Metric = TypeVar("Metric", bound=MetricWrapperBase)

_Series = dict[str, dict[tuple[MetricWrapperBase, tuple[str, ...]], MetricWrapperBase]]


class ByStream(Generic[Metric]):
    """A metric whose first label is the stream, made by `StreamMetrics`."""

    def __init__(self, metric: Metric, known: _Series) -> None:
        self._metric, self._series = metric, known

    def labels(self, stream: str, *others: str) -> Metric:
        """The series with these labels; created if there is none."""
        known, key = self._series.setdefault(stream, {}), (self._metric, others)
        series = known.get(key)
        if series is None:
            # Cached, since prometheus_client checks labels on every call, which takes longer than everything else.
            series = known[key] = self._metric.labels(stream, *others)
        return series  # type: ignore[return-value]


class StreamMetrics:
    """Makes metrics of streams, and remembers which series each stream has. Not thread-safe.

    Searching all series for a stream's, as `remove_by_labels` of prometheus_client does, takes seconds each time that
    one of a thousand streams moves to another daemon.

    Args:
        registry: where to register them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._series: _Series = {}

    def gauge(self, name: str, documentation: str, *labels: str) -> ByStream[Gauge]:
        """A gauge with these labels in addition to the stream."""
        return ByStream(Gauge(name, documentation, ["stream", *labels], registry=self._registry), self._series)

    def counter(self, name: str, documentation: str, *labels: str) -> ByStream[Counter]:
        """A counter, likewise."""
        return ByStream(Counter(name, documentation, ["stream", *labels], registry=self._registry), self._series)

    def info(self, name: str, documentation: str) -> ByStream[Info]:
        """An info, likewise."""
        return ByStream(Info(name, documentation, ["stream"], registry=self._registry), self._series)

    def keep(self, streams: Set[str]) -> None:
        """Remove the series of all other streams."""
        for stream in self._series.keys() - streams:
            for metric, others in self._series.pop(stream):
                metric.remove(stream, *others)
