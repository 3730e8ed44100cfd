"""A stream's memory is measured, and a null drawn by blocks keeps it where one of single samples does not."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.stats.memory import NONE, measure_memory
from driftwatch.stats.null import fit_window_null
from driftwatch.stats.resample import null_panes, null_windows
from tests.gaussian import draw, fitted, persistent

SHAPES = ((2, 3), (1, 4))


@pytest.mark.parametrize(("persistence", "tau"), [(0.5, 3.0), (0.9, 19.0)])
def test_memory_is_that_of_an_autoregression(persistence: float, tau: float) -> None:
    z = persistent(np.random.default_rng(0), 40_000, ((1, 20),), persistence)[0][:, 0]
    # One column remembers, the others do not.
    z[:, 1:] = draw(np.random.default_rng(1), 40_000, ((1, 19),))[0][:, 0]
    found = measure_memory(z.astype(np.float64))
    assert found.tau == pytest.approx(tau, rel=0.5)
    assert found.block > 10 * tau


@pytest.mark.parametrize("seed", range(20))
def test_what_has_no_memory_is_not_said_to_have_one(seed: int) -> None:
    assert measure_memory(np.random.default_rng(seed).standard_t(5, (2_000, 300))) == NONE


def test_blocks_stay_together_and_no_sample_is_twice_in_a_window() -> None:
    numbers = np.arange(1, 1_001, dtype=np.float32)[:, None]
    panes = np.concatenate(list(null_panes(numbers, 1, 5_000, 1, np.random.default_rng(0), None, 100)))[:, 0]
    steps = np.diff(panes)
    assert (steps == 1).mean() > 0.97
    for start in range(0, 5_000, 37):
        window = panes[start : start + 100]
        assert len(set(window)) == len(window)


def test_p_values_of_a_stream_with_memory_are_right_by_blocks_and_wrong_by_samples() -> None:
    rng = np.random.default_rng(2)
    reference = fitted(rng, SHAPES, 20_000, make=lambda n: persistent(rng, n, SHAPES, 0.8))
    bank = reference.summaries(persistent(rng, 20_000, SHAPES, 0.8)).astype(np.float32)
    memory = measure_memory(bank[:, reference.layout.sum_z].astype(np.float64))
    fresh = reference.summaries(persistent(rng, 100_000, SHAPES, 0.8)).reshape(-1, 50, bank.shape[1]).sum(1)
    share = {}
    for block in (1, memory.block):
        measured = null_windows(bank, reference.layout, 50, others=reference.others, block=block, count=8_000)
        p_values = fit_window_null(measured, reference.layout, 50).test(fresh).p_values["combined"]
        share[block] = float((p_values <= 0.01).mean())
    assert share[1] > 0.1
    # The bank is worth 2,200 independent samples: in the tail it is one draw of many.
    assert 0.003 < share[memory.block] < 0.03
