"""Windows by time keep their false-alarm budget on fresh streams, at any rate."""

from __future__ import annotations

import numpy as np

from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.sequential import simulate_null
from driftwatch.stats.summary import merge
from driftwatch.stats.sums import keep
from driftwatch.stream.examples import ExampleRule
from driftwatch.stream.panes import Pane
from driftwatch.stream.time_windows import TimeRule, TimeSize, TimeWindows
from tests.gaussian import draw, fitted

SHAPES = ((2, 3), (1, 4))
BUDGET = 1_000.0


def test_the_budget_is_kept_at_any_rate() -> None:
    rng = np.random.default_rng(7)
    reference = fitted(rng, SHAPES, 40_000)
    bank = reference.summaries(draw(rng, 20_000, SHAPES)).astype(np.float32)
    grid = simulate_null(HeldOut(bank), reference.layout, [20], 10, samples=100_000, by_time=True).grid
    assert grid is not None
    assert (grid.least, grid.most) == (20, 5_000)
    rule = TimeRule((TimeSize("10s", 10_000),), 1_000, 0, BUDGET)
    windows = TimeWindows(rule, grid, ExampleRule(0))
    samples, alarms, expected, time_ms = 0, 0, 0.0, 0.0
    for _ in range(20):
        fresh = reference.summaries(draw(rng, 3_000, SHAPES))
        for start in range(0, len(fresh), 5):
            # From 4 to 100 samples per second, and therefore windows of 40 to 1,000.
            time_ms += 5 * 1_000 / (4 * 25 ** (0.5 + 0.5 * np.sin(samples / 3_000)))
            at = int(time_ms)
            pane = Pane("a", "v", 5, keep(fresh[start : start + 5].sum(0)), at, at, "in", 0, (samples, 0), (samples, 4))
            samples += 5
            for due in windows.take(pane)[0]:
                if due.null is None:
                    continue
                found = due.null.test(merge([each.summary for each in due.panes])[None])
                expected += due.alpha
                alarms += int(found.p_values["combined"][0] <= due.alpha)
    assert 20 < expected <= samples / BUDGET
    # Neighbouring windows share most of their samples: alarms come in runs, and their number varies more.
    assert abs(alarms - expected) < 4 * np.sqrt(3 * expected)
