"""A Prometheus histogram that takes whole arrays: there are far too many samples to count one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class ArrayHistogram(Collector):
    """A Prometheus histogram with one label. Thread-safe.

    Args:
        name: of the metric.
        documentation: its help text.
        label: name of its label.
        bounds: inclusive upper bounds, ascending, without infinity.
    """

    def __init__(self, name: str, documentation: str, *, label: str, bounds: Sequence[float]) -> None:
        self._name, self._documentation, self._label = name, documentation, label
        self._bounds = np.asarray(bounds, dtype=np.float64)
        self._names = [*(str(float(bound)) for bound in bounds), "+Inf"]
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._sums: dict[str, float] = {}
        self._lock = Lock()

    def observe(self, label: str, values: NDArray[np.floating]) -> None:
        """Count `values` ``(n,)``; those that are not finite count above every bound and are left out of the sum."""
        places = np.searchsorted(self._bounds, values, side="left")
        added = np.bincount(places, minlength=len(self._names))
        total = float(np.sum(values, where=np.isfinite(values)))
        with self._lock:
            if label in self._counts:
                added = added + self._counts[label]
            self._counts[label] = added
            self._sums[label] = self._sums.get(label, 0.0) + total

    def remove(self, label: str) -> None:
        """Forget what was counted under a label, if anything."""
        with self._lock:
            self._counts.pop(label, None)
            self._sums.pop(label, None)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The metric with all its labels, for the registry."""
        with self._lock:
            state = [(label, counts, self._sums[label]) for label, counts in self._counts.items()]
        family = HistogramMetricFamily(self._name, self._documentation, labels=[self._label])
        for label, counts, total in state:
            cumulated = np.cumsum(counts).tolist()
            family.add_metric([label], list(zip(self._names, cumulated, strict=True)), total)
        yield family

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """The metric without its series."""
        yield HistogramMetricFamily(self._name, self._documentation, labels=[self._label])
