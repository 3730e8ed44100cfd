"""Results of windows that nobody tested, as events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from driftwatch.stream.alert import WindowSpan
from driftwatch.stream.events import WindowTested
from driftwatch.stream.results import Excess, WindowResult

PARTS = {"location": 1.0, "scale": 2.0, "dependence": 4.0}
RESULT = WindowResult(
    stream="a",
    reference="v",
    span=WindowSpan(50, 50, 0, 2_000, ()),
    statistics={"combined": 9.0, "kl": 7.0},
    p_values={"combined": 1e-9, "kl": 1e-8},
    parts={"coarse": PARTS},
    geometry={"radius": 3.0},
    moments={"spectrum": 5.0},
    effect_nats=2.0,
    drift=True,
    explanation="coarse changed in spread",
    excess=Excess([[0.5, 1.5, 2.5]], [[11.0, 12.0, 13.0]], [7.0]),
)


def window_tested(p_value: float = 1e-9, size: int = 50, end_ms: int = 2_000, **changes: Any) -> WindowTested:
    """A window of stream ``a`` with three parts of one block, one group of descriptors, and these changes."""
    span = WindowSpan(size, size, 0, end_ms, ())
    return WindowTested(replace(RESULT, span=span, p_values={**RESULT.p_values, "combined": p_value}, **changes))
