"""A made-up alert: what `driftwatch check --send-test-alert` sends."""

from __future__ import annotations

import time
from dataclasses import replace

from driftwatch.stream.alert import Alert, DetectorResult, Effect, Example, Examples, HeatMap, OffsetRange, WindowSpan

STREAM = "driftwatch-test"
EXPLANATION = "nothing: this is a test of driftwatch's alerts, and no stream drifts"


def sample_alert(severity: str = "warning", *, at_ms: int = 1_700_000_000_000) -> Alert:
    """A firing alert with every optional part.

    Args:
        severity: of the alert.
        at_ms: when the alarm started, milliseconds since the epoch; also makes its id unique.
    """
    scores = (31.5, 28.0, 24.25)
    return Alert(
        id=f"test-{at_ms}",
        stream=STREAM,
        state="firing",
        severity=severity,
        effect=Effect(5.2, 4.6, 5.9),
        window=WindowSpan(50, 50, at_ms - 25_000, at_ms, (OffsetRange("requests", 0, 1_200, 1_249),)),
        p_value=3.1e-9,
        detectors=(DetectorResult("combined", 44.0, 3.1e-9, {}), DetectorResult("kl", 9.8, 2e-8, {})),
        explanation=EXPLANATION,
        reference=("test", "0"),
        heat_map=HeatMap(
            tuple(tuple(max(0.0, 0.5 - 0.02 * (r - 3) ** 2 - 0.02 * (c - 5) ** 2) for c in range(7)) for r in range(7))
        ),
        examples=Examples(
            tuple(Example("requests", 0, 1_230 + i, i, score) for i, score in enumerate(scores)),
            (Example("requests", 0, 1_201, 2, 0.4),),
        ),
        since_ms=at_ms,
    )


def sample_resolution(alert: Alert) -> Alert:
    """The end of a sample alert, two minutes later."""
    end_ms = alert.window.end_ms + 120_000
    window = replace(alert.window, start_ms=end_ms - 25_000, end_ms=end_ms)
    return replace(
        alert,
        id=f"{alert.id}-resolved",
        state="resolved",
        effect=Effect(0.0, 0.0, 0.1),
        p_value=0.4,
        window=window,
        explanation="this was a test",
        heat_map=None,
        examples=None,
    )


def now_ms() -> int:
    """The current time, milliseconds since the epoch."""
    return int(time.time() * 1000)
