"""A stream's memory is measured, and a null drawn in blocks preserves it where one of single samples does not."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.large import stretches
from driftwatch.stats.memory import NONE, Memory, measure_memory
from driftwatch.stats.null import fit_window_null
from driftwatch.stats.resample import null_panes, null_windows
from tests.gaussian import draw, fitted, persistent

SHAPES = ((2, 3), (1, 4))

BLOCKS_ONLY = Memory(1.0, 100)
"""Blocks without a correction for memory."""


@pytest.mark.parametrize(("persistence", "tau"), [(0.5, 3.0), (0.9, 19.0)])
def test_the_memory_of_an_autoregression_is_measured(persistence: float, tau: float) -> None:
    z = persistent(np.random.default_rng(0), 40_000, ((1, 20),), persistence)[0][:, 0]
    # One column has memory, the others have none.
    z[:, 1:] = draw(np.random.default_rng(1), 40_000, ((1, 19),))[0][:, 0]
    found = measure_memory(z.astype(np.float64))
    assert found.tau == pytest.approx(tau, rel=0.5)
    assert found.block > 10 * tau


@pytest.mark.parametrize("seed", range(20))
def test_a_stream_without_memory_is_measured_as_such(seed: int) -> None:
    assert measure_memory(np.random.default_rng(seed).standard_t(5, (2_000, 300))) == NONE


def test_blocks_stay_together_and_no_sample_is_twice_in_a_window() -> None:
    numbers = np.arange(1, 1_001, dtype=np.float32)[:, None]
    drawn = null_panes(HeldOut(numbers, memory=BLOCKS_ONLY), 1, 5_000, 1, np.random.default_rng(0))
    panes = np.concatenate(list(drawn))[:, 0]
    steps = np.diff(panes)
    assert (steps == 1).mean() > 0.97
    for start in range(0, 5_000, 37):
        window = panes[start : start + 100]
        assert len(set(window)) == len(window)


def test_windows_of_blocks_have_the_variance_of_the_stream_s_windows() -> None:
    """One or two percent of the variance were lost at the joints of blocks, which caused more alarms."""
    size, columns = 300, 60  # so that blocks end anywhere in a window
    z = persistent(np.random.default_rng(3), 20_000, ((1, columns),), 0.9)[0][:, 0]
    bank = np.column_stack([np.ones(len(z)), z]).astype(np.float32)
    totals = np.cumsum(np.concatenate([z, z[:size]]).astype(np.float64), axis=0)
    expected = (totals[size:] - totals[:-size]).var(0)
    drawn = null_panes(HeldOut(bank, memory=Memory(19.0, 500)), size, 10_000, size, np.random.default_rng(4))
    found = np.concatenate(list(drawn))[:, 1:].var(0)
    assert found.sum() / expected.sum() == pytest.approx(1.0, abs=0.01)


def test_large_windows_of_blocks_have_the_variance_of_the_stream_s_windows() -> None:
    z = persistent(np.random.default_rng(5), 20_000, ((1, 60),), 0.9)[0][:, 0]
    bank = np.column_stack([np.ones(len(z)), z]).astype(np.float32)
    others = 20_000.0 * bank.mean(0, dtype=np.float64)
    held_out = HeldOut(bank, others, Memory(19.0, 500))
    (drawn,) = zip(*stretches(held_out, [20], 500, 1, 4_000, np.random.default_rng(6)), strict=True)
    found = np.concatenate(drawn)[:, 1:].var(0)
    assert np.mean(found) == pytest.approx(19.0 * 10_000 * (1 + 10_000 / 40_000), rel=0.06)


def test_p_values_of_a_stream_with_memory_are_valid_with_blocks_and_invalid_without() -> None:
    rng = np.random.default_rng(2)
    reference = fitted(rng, SHAPES, 20_000, make=lambda n: persistent(rng, n, SHAPES, 0.8))
    bank = reference.summaries(persistent(rng, 20_000, SHAPES, 0.8)).astype(np.float32)
    memory = measure_memory(bank[:, reference.layout.sum_z].astype(np.float64))
    fresh = reference.summaries(persistent(rng, 100_000, SHAPES, 0.8)).reshape(-1, 50, bank.shape[1]).sum(1)
    share = {}
    for each in (NONE, memory):
        measured = null_windows(HeldOut(bank, reference.others, each), reference.layout, 50, count=8_000)
        p_values = fit_window_null(measured, reference.layout, 50).test(fresh).p_values["combined"]
        share[each.block] = float((p_values <= 0.01).mean())
    assert share[1] > 0.1
    # The bank is worth 2,200 independent samples: its tail is a single draw.
    assert 0.003 < share[memory.block] < 0.03
