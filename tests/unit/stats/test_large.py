"""Windows that are large relative to the held-out samples: their null includes the uncertainty of the reference."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.stats.decomposition import PARTS
from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.large import large_windows, stretches
from driftwatch.stats.memory import Memory
from driftwatch.stats.null import GEOMETRY_PARTS
from driftwatch.stats.sequential import simulate_null
from tests.gaussian import draw, fitted

BANK, OTHERS = 1_000, 3_000
LATENTS = ((4, 2),)


def held_out(block: int = 1) -> HeldOut:
    """A bank of one value per sample, and the sum of the others; with `block`, that many neighbours are equal."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(BANK // block).repeat(block)
    values = (values - values.mean()) / values.std()
    bank = np.column_stack([np.ones(BANK), values]).astype(np.float32)
    return HeldOut(bank, np.array([OTHERS, 0.0]), Memory(1.0, block))


@pytest.mark.parametrize(("block", "memory"), [(1, 1.0), (20, 20.0)])
@pytest.mark.parametrize("widths", [[50], [50, 400], [50, 55]])
def test_windows_vary_by_their_own_chance_and_the_reference_s(block: int, memory: float, widths: list[int]) -> None:
    drawn = list(stretches(held_out(block), widths, 10, 15, 3_000, np.random.default_rng(1)))
    for place, width in enumerate(widths):
        size = 10 * width
        windows = np.concatenate([each[place] for each in drawn]).reshape(3_000, 15, 2)
        np.testing.assert_allclose(windows[:, :, 0], size, rtol=1e-5)
        means = windows[:, :, 1] / size
        expected = 1 / size + 1 / (BANK + OTHERS)
        # Blocks that begin anywhere cut through the bank's: they have two thirds of the variance of whole blocks.
        low = 1.0 if block == 1 else 0.6
        assert low * 0.9 < means[:, 0].var() / (memory * expected) < 1.1
        one, other = means[:, 0].reshape(-1, 2).T
        assert low * 0.8 < np.cov(one, other)[0, 1] / (memory / (BANK + OTHERS)) < 1.25


def test_a_stretch_advances_by_one_pane_at_each_step() -> None:
    drawn = stretches(held_out(), [50], 10, 15, 3_000, np.random.default_rng(4))
    (windows,) = (np.concatenate(each) for each in zip(*drawn, strict=True))
    moved = np.diff(windows.reshape(3_000, 15, 2)[:, :, 1], axis=1)
    assert moved.var() == pytest.approx(20.0, rel=0.05)  # ten samples enter, ten leave
    assert (windows.reshape(3_000, 15, 2)[:, 14, 1] - windows.reshape(3_000, 15, 2)[:, 0, 1]).var() == pytest.approx(
        280.0, rel=0.1
    )


def test_several_sizes_end_at_the_same_sample() -> None:
    drawn = stretches(held_out(), [50, 200], 10, 2, 3_000, np.random.default_rng(4))
    short, long = (np.concatenate(each) for each in zip(*drawn, strict=True))
    rest = long[::2, 1] - short[::2, 1]
    # Besides the shorter window, the longer one holds 1,500 other samples, of the same truth.
    assert rest.var() == pytest.approx(1_500 + 1_500**2 / (BANK + OTHERS), rel=0.1)


def test_single_large_windows_have_the_same_distribution() -> None:
    means = np.concatenate(list(large_windows(held_out(), 2_000, 4_000, np.random.default_rng(2))))[:, 1] / 2_000
    assert means.var() == pytest.approx(1 / 2_000 + 1 / (BANK + OTHERS), rel=0.1)


def test_p_values_are_uniform_over_references_for_any_window_size() -> None:
    """Windows ten times as large as the held-out samples: most p-values were below 0.001, with a median of 1e-5."""
    p_values: dict[str, list[np.ndarray]] = {"combined": [], "geometry": []}
    for seed in range(24):
        rng = np.random.default_rng(seed)
        reference = fitted(rng, LATENTS, 500)
        bank = reference.summaries(draw(rng, 500, LATENTS)).astype(np.float32)
        known = HeldOut(bank, reference.others)
        null = simulate_null(known, reference.layout, [10_000], 10, samples=100_000, seed=seed)
        fresh = np.stack([reference.summaries(draw(rng, 10_000, LATENTS)).sum(0) for _ in range(4)])
        tested = null.nulls[10_000].test(fresh).p_values
        for name, each in p_values.items():
            each.append(tested[name])
    for each in p_values.values():
        reference_means = np.mean(each, axis=1)
        assert reference_means.mean() == pytest.approx(0.5, abs=0.2)
        assert np.mean(np.array(each) < 0.01) < 0.06
        assert np.mean(np.array(each) < 0.1) < 0.3


def test_small_windows_are_tested_as_if_there_were_no_large_ones() -> None:
    rng = np.random.default_rng(3)
    reference = fitted(rng, LATENTS, 1_000)
    bank = reference.summaries(draw(rng, 1_000, LATENTS)).astype(np.float32)
    alone, beside = (
        simulate_null(HeldOut(bank, reference.others), reference.layout, sizes, 10, samples=60_000)
        for sizes in ([20, 100], [20, 2_000, 100])
    )
    windows = np.stack([reference.summaries(draw(rng, 100, LATENTS)).sum(0) for _ in range(20)])
    assert list(beside.nulls) == [20, 2_000, 100]
    for name, p_values in alone.nulls[100].test(windows).p_values.items():
        np.testing.assert_array_equal(p_values, beside.nulls[100].test(windows).p_values[name])
    np.testing.assert_array_equal(alone.p_values, beside.p_values)
    # Large windows raise false alarms too, so the others may raise fewer.
    assert beside.procedure(1e4, 3).control.threshold < alone.procedure(1e4, 3).control.threshold


def test_statistics_that_held_out_samples_cannot_estimate_explain_nothing() -> None:
    """Axes are off by several deviations in large windows of reference data, and appeared in explanations."""
    rng = np.random.default_rng(5)
    reference = fitted(rng, LATENTS, 500)
    bank = reference.summaries(draw(rng, 500, LATENTS)).astype(np.float32)
    null = simulate_null(HeldOut(bank, reference.others), reference.layout, [20, 10_000], 10, samples=100_000)
    axes = len(LATENTS) * len(PARTS) + GEOMETRY_PARTS.index("axes")
    for size, explains in ((20, True), (10_000, False)):
        fresh = np.stack([reference.summaries(draw(rng, size, LATENTS)).sum(0) for _ in range(4)])
        found = null.nulls[size].test(fresh)
        assert (found.deviations[:, axes] != 0.0).all() == explains
        assert np.delete(found.deviations, axes, axis=1).all()
