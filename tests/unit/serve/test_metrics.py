"""Metrics of many streams, which come and go."""

from __future__ import annotations

import time

import numpy as np

from driftwatch.serve.metrics import Metrics
from driftwatch.stream.events import (
    UNKNOWN,
    BatchSeen,
    BetsMade,
    Calibrated,
    DeadLettered,
    NotTested,
    ReferenceAwaited,
    ReferenceInUse,
    SampleFraction,
    SamplesScored,
    StreamPaced,
    StreamQuiet,
    StreamsConfigured,
    StreamsHeld,
    StreamState,
    WindowTested,
)
from tests.windows import window_tested

STREAMS = tuple(f"s{i}" for i in range(150))


def metrics_of(metrics: Metrics, stream: str) -> set[str]:
    """Names of the metrics that have a series of a stream."""
    lines = metrics.render()[0].decode().splitlines()
    return {line.partition("{")[0] for line in lines if f'stream="{stream}"' in line}


def window(stream: str, size: int) -> WindowTested:
    return window_tested(size=size, stream=stream)


def test_a_stream_that_is_taken_over_costs_time_for_its_own_series_only() -> None:
    metrics = Metrics(streams=STREAMS)
    held = [frozenset(STREAMS[:n]) for n in range(len(STREAMS) + 1)]
    started = time.thread_time()
    for stream, holding in zip(STREAMS, held[1:], strict=True):
        for size in (50, 500):
            metrics(window(stream, size))
        metrics(StreamState(stream, False, 1e-6))
        metrics(StreamsHeld(holding))
    for holding in reversed(held):
        metrics(StreamsHeld(holding))
    metrics(StreamsConfigured(()))
    assert time.thread_time() - started < 2, "visiting all series of all streams each time takes 100 times as long"
    assert not any(name.startswith("driftwatch_window_") for name in metrics_of(metrics, STREAMS[0]))


def test_a_stream_that_is_given_back_is_reported_again() -> None:
    metrics = Metrics(streams=["a", "b"])
    for stream in ("a", "b"):
        for event in (window(stream, 50), BetsMade(stream, 1.0), StreamState(stream, False, 1e-6)):
            metrics(event)
    all_names = metrics_of(metrics, "b")
    metrics(StreamsHeld(frozenset({"b"})))
    assert metrics_of(metrics, "b") == all_names
    assert metrics_of(metrics, "a").isdisjoint({"driftwatch_drift", "driftwatch_window_p_value"})
    metrics(window("a", 50))
    assert "driftwatch_window_p_value" in metrics_of(metrics, "a")
    assert "driftwatch_drift" not in metrics_of(metrics, "a")


def test_a_reference_with_other_blocks_leaves_no_series_of_the_previous_one() -> None:
    metrics = Metrics(streams=["a"])
    metrics(window("a", 50))
    metrics(window_tested(parts={"whole": {"scale": 7.0}}))
    metrics(window("a", 500))
    lines = metrics.render()[0].decode().splitlines()
    blocks = [line for line in lines if line.startswith("driftwatch_window_block_nats{") and 'window="50"' in line]
    assert blocks == ['driftwatch_window_block_nats{block="whole",part="scale",stream="a",window="50"} 7.0']


def test_metrics_of_windows_are_found_by_name() -> None:
    metrics = Metrics(streams=["a"])
    metrics(window("a", 50))
    labels = {"stream": "a", "window": "50", "detector": "kl"}
    assert metrics.registry.get_sample_value("driftwatch_window_p_value", labels) == 1e-8
    some = metrics.registry.restricted_registry(["driftwatch_window_effect_nats"])
    assert [sample.value for family in some.collect() for sample in family.samples] == [2.0]


def test_measurements_of_an_unconfigured_stream_are_not_reported() -> None:
    metrics = Metrics(streams=["a"], sizes=[50])
    before = metrics_of(metrics, UNKNOWN)
    for event in (
        StreamQuiet("gone", 1_500),
        StreamPaced("gone", 0.5),
        window("gone", 50),
        BetsMade("gone", 1.0),
        StreamState("gone", True, 1e-6),
        Calibrated("gone", 1e6, (1e5, 1e7), True),
        SampleFraction("gone", 0.5, True),
        ReferenceAwaited("gone", "v", True),
        SamplesScored("gone", np.ones(3), 1_500),
    ):
        metrics(event)
    assert metrics_of(metrics, UNKNOWN) - before == {
        "driftwatch_samples_total",
        *(f"driftwatch_sample_score_{kind}" for kind in ("bucket", "count", "sum")),
    }


def test_nothing_is_reported_of_a_stream_that_was_removed() -> None:
    metrics = Metrics(streams=["a", "b"], severities=["warning"], sizes=[50])
    before = metrics_of(metrics, UNKNOWN)
    metrics(ReferenceInUse("a", "r", "v"))
    for event in (
        BatchSeen("a", "ok", 3),
        SampleFraction("a", 0.5, False),
        SamplesScored("a", np.ones(3), 1_500),
        DeadLettered("a", "schema"),
        NotTested("a", 3, ("5m",)),
        StreamQuiet("a", 1_500),
        StreamPaced("a", 0.5),
        window("a", 50),
        BetsMade("a", 1.0),
        Calibrated("a", 1e6, (1e5, 1e7), True),
        StreamState("a", True, 1e-6),
        ReferenceAwaited("a", "v", True),
    ):
        metrics(event)
    assert len(metrics_of(metrics, "a")) > 20
    metrics(StreamsConfigured(("b",)))
    assert metrics_of(metrics, "a") == set()
    assert metrics_of(metrics, UNKNOWN) == before
    metrics(StreamsConfigured(("a", "b")))
    lines = metrics.render()[0].decode().splitlines()
    assert 'driftwatch_samples_total{stream="a"} 0.0' in lines
    assert 'driftwatch_samples_total{stream="b"} 0.0' in lines
