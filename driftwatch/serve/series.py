"""Metrics by stream: what is told of a stream is taken back at the cost of its own series, whatever others have."""

from __future__ import annotations

from collections.abc import Set
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Info
from prometheus_client.metrics import MetricWrapperBase

Metric = TypeVar("Metric", bound=MetricWrapperBase)

_Told = dict[str, dict[tuple[MetricWrapperBase, tuple[str, ...]], MetricWrapperBase]]


class ByStream(Generic[Metric]):
    """A metric whose first label is the stream, made by `StreamMetrics`."""

    def __init__(self, metric: Metric, told: _Told) -> None:
        self._metric, self._told = metric, told

    def labels(self, stream: str, *others: str) -> Metric:
        """The series with these labels; it begins if there is none."""
        told, key = self._told.setdefault(stream, {}), (self._metric, others)
        series = told.get(key)
        if series is None:
            # Kept, since prometheus_client checks the labels anew each time, which takes longer than all else.
            series = told[key] = self._metric.labels(stream, *others)
        return series  # type: ignore[return-value]


class StreamMetrics:
    """Makes metrics of streams, and keeps in mind which series each stream has. Not thread-safe.

    To look for a stream's series among all, as `remove_by_labels` of prometheus_client does, takes seconds each time
    that one of a thousand streams changes hands.

    Args:
        registry: where to register them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._told: _Told = {}

    def gauge(self, name: str, documentation: str, *labels: str) -> ByStream[Gauge]:
        """A gauge with these labels beside the stream."""
        return ByStream(Gauge(name, documentation, ["stream", *labels], registry=self._registry), self._told)

    def counter(self, name: str, documentation: str, *labels: str) -> ByStream[Counter]:
        """A counter, likewise."""
        return ByStream(Counter(name, documentation, ["stream", *labels], registry=self._registry), self._told)

    def info(self, name: str, documentation: str) -> ByStream[Info]:
        """An info, likewise."""
        return ByStream(Info(name, documentation, ["stream"], registry=self._registry), self._told)

    def keep(self, streams: Set[str]) -> None:
        """Takes back what was told of all other streams."""
        for stream in self._told.keys() - streams:
            for metric, others in self._told.pop(stream):
                metric.remove(stream, *others)
