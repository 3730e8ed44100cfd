"""Prometheus metrics of each stream's last windows, computed when they are scraped.

A busy daemon tests thousands of windows between two scrapes, each with dozens of figures. Setting gauges for all of
them took a third as long as testing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from threading import Lock

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from driftwatch.stream.results import WindowResult


class LastWindows(Collector):
    """Gauges for the last window of each size and stream. Thread-safe."""

    def __init__(self) -> None:
        self._last: dict[str, dict[int | str, WindowResult]] = {}
        self._lock = Lock()

    def take(self, result: WindowResult) -> None:
        """Replace the last window of the result's size."""
        with self._lock:
            self._last.setdefault(result.stream, {})[result.size] = result

    def keep(self, streams: Set[str]) -> None:
        """Forget the windows of all other streams."""
        with self._lock:
            for stream in self._last.keys() - streams:
                del self._last[stream]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The metrics, for the registry."""
        with self._lock:
            last = [result for windows in self._last.values() for result in windows.values()]
        statistic, p_value, effect, end, block = families = _families()
        for result in last:
            labels = (result.stream, str(result.size))
            for detector, value in result.statistics.items():
                statistic.add_metric((*labels, detector, "total"), value)
            for detector, parts in _parts(result).items():
                for part, value in parts.items():
                    statistic.add_metric((*labels, detector, part), value)
            for detector, value in result.p_values.items():
                p_value.add_metric((*labels, detector), value)
            effect.add_metric(labels, result.effect_nats)
            end.add_metric(labels, result.end_ms / 1000)
            for name, parts in result.parts.items():
                for part, value in parts.items():
                    block.add_metric((*labels, name, part), value)
        yield from families

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The metrics without their series."""
        yield from _families()


def _parts(result: WindowResult) -> dict[str, Mapping[str, float]]:
    """The parts of each detector that has any; those of the divergence are summed over blocks."""
    names = next(iter(result.parts.values()), {})
    totals = {name: sum(parts[name] for parts in result.parts.values()) for name in names}
    return {"kl": totals, "geometry": result.geometry, "moments": result.moments}


def _families() -> tuple[GaugeMetricFamily, ...]:
    return (
        GaugeMetricFamily(
            "driftwatch_window_statistic",
            "Statistic of each detector in the last window, in total and by part.",
            labels=("stream", "window", "detector", "part"),
        ),
        GaugeMetricFamily(
            "driftwatch_window_p_value",
            "P-value of each detector in the last window.",
            labels=("stream", "window", "detector"),
        ),
        GaugeMetricFamily(
            "driftwatch_window_effect_nats",
            "Debiased divergence of the last window from the reference, in nats per sample.",
            labels=("stream", "window"),
        ),
        GaugeMetricFamily(
            "driftwatch_window_end_timestamp_seconds",
            "Event time of the newest sample of the last window.",
            labels=("stream", "window"),
        ),
        GaugeMetricFamily(
            "driftwatch_window_block_nats",
            "Parts of the divergence of the last window by latent block, in nats per sample.",
            labels=("stream", "window", "block", "part"),
        ),
    )
