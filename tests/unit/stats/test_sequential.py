"""The false-alarm budget is kept on streams that were not used to set the threshold."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.sliding import smallest_p_values
from driftwatch.stats.halves import BLOCKS_IN_PART, halves
from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.memory import Memory
from driftwatch.stats.rates import episodes
from driftwatch.stats.remarks import size_remarks
from driftwatch.stats.sequential import Procedure, simulate_null
from tests.gaussian import draw, fitted

SHAPES = ((2, 3), (1, 4))


@pytest.mark.parametrize("budget", [2_000.0, 50_000.0])
def test_overlapping_windows_keep_the_budget_on_fresh_streams(budget: float) -> None:
    rng = np.random.default_rng(0)

    reference = fitted(rng, SHAPES, 40_000)

    def bank(n: int) -> np.ndarray:
        return reference.summaries(draw(rng, n, SHAPES))

    null = simulate_null(HeldOut(bank(20_000).astype(np.float32)), reference.layout, [20, 100], 10, samples=200_000)
    procedure = null.procedure(budget, resolve_after=3)
    alarms = samples = 0
    for _ in range(10):
        each = bank(100_000)
        panes = each.reshape(-1, 10, each.shape[1]).sum(1)
        alarms += episodes(smallest_p_values(procedure, [panes]), procedure.control.threshold, 3)
        samples += len(each)
    expected = samples / budget
    # The Poisson spread of the count, and the uncertainty of the threshold.
    assert abs(alarms - expected) < 4 * np.sqrt(expected) + 0.35 * expected


@pytest.mark.parametrize(
    ("bank", "size", "budget", "expected_remark"),
    [
        (4_000, 10, 50.0, ""),
        (400, 10, 1e6, "more than 2,400 held-out samples can vouch for (417 times their number)"),
        (
            400,
            150,
            100.0,
            "400 are used to draw windows: uncertainty about the reference is 6 % of their null variance",
        ),
        (
            400,
            250,
            100.0,
            "on average over references, but not by each one: the true rate is between one in",
        ),
    ],
)
def test_remarks_say_how_reliable_a_calibration_is(bank: int, size: int, budget: float, expected_remark: str) -> None:
    procedure = calibrated(bank, size, budget)
    assert len(procedure.remarks) == bool(expected_remark)
    assert expected_remark in "".join(procedure.remarks)
    assert procedure.satisfiable == (not expected_remark)


@pytest.mark.parametrize(
    ("longest", "bank", "others", "expected_remark"),
    [
        (500, 2_000, 2_000, ""),
        (
            500,
            1_999,
            1_999,
            "hold out 4,000 samples: train on more rows or run driftwatch recalibrate with more, or use",
        ),
        (500, 1_000, 0, "hold out 2,000 samples: "),
        (500, 1_000, 9_000, "set calibration.bank_size to 2,000, or use windows of at most 250"),
        (
            2_000,
            5_000,
            5_000,
            "set calibration.samples to 16,000 and calibration.bank_size to 8,000",
        ),
    ],
)
def test_remarks_say_what_large_windows_would_need(longest: int, bank: int, others: int, expected_remark: str) -> None:
    remarks = size_remarks(longest, bank, others)
    assert len(remarks) == bool(expected_remark)
    assert expected_remark in "".join(remarks)


def test_more_held_out_samples_narrow_the_interval() -> None:
    """On average: how much halves of one bank differ is estimated from only sixteen of them."""
    narrower = []
    for seed in range(8):
        few, many = (calibrated(held_out, 50, 10_000.0, seed).control for held_out in (250, 10_000))
        assert few.interval[0] < few.budget < few.interval[1]
        narrower.append(np.log(few.interval[1] / many.interval[1]))
    assert np.mean(narrower) > np.log(1.3)


def test_halves_differ_from_the_bank_as_much_as_the_bank_from_the_truth() -> None:
    """Their means differ by ``1/B`` of a sample's variance; with as many other samples, by half as much."""
    rng = np.random.default_rng(1)
    alone, together = [], []
    for _ in range(60):
        values = rng.standard_normal(2_000)
        bank = np.column_stack([np.ones(2_000), values]).astype(np.float32)
        best = (values.sum() + 200.0) / 4_000
        alone += [bank[half, 1].mean() - values.mean() for half, _ in halves(HeldOut(bank), 10, 10**6, rng)]
        held_out = halves(HeldOut(bank, np.array([2_000.0, 200.0])), 10, 10**6, rng)
        together += [centre[1] / centre[0] - best for _, centre in held_out if centre is not None]
    assert np.mean(np.square(alone)) == pytest.approx(1 / 2_000, rel=0.15)
    assert np.mean(np.square(together)) == pytest.approx(1 / 4_000, rel=0.15)
    assert abs(np.mean(together)) < 0.002


@pytest.mark.parametrize("block", [100, 500])
def test_halves_of_a_stream_with_memory_keep_neighbours_together(block: int) -> None:
    bank = np.ones((20_000, 2), dtype=np.float32)
    for half, _ in halves(HeldOut(bank, memory=Memory(1.0, block)), 500, 10**6, np.random.default_rng(1)):
        cuts = np.flatnonzero(np.diff(half) != 1)
        assert len(half) == pytest.approx(10_000, rel=0.1)
        assert len(cuts) < len(half) / (BLOCKS_IN_PART * block)


def calibrated(held_out: int, size: int, budget: float, seed: int = 2) -> Procedure:
    rng = np.random.default_rng(seed)
    reference = fitted(rng, SHAPES, 2_000)
    bank = reference.summaries(draw(rng, held_out, SHAPES)).astype(np.float32)
    null = simulate_null(HeldOut(bank, reference.others), reference.layout, [size], 10, samples=60_000)
    return null.procedure(budget, resolve_after=3)
