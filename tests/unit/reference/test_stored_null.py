"""The null of the default windows is stored in the bundle: the same thresholds everywhere, no simulation at start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from driftwatch.reference import reference as references
from driftwatch.reference.bundle import load_bundle
from driftwatch.reference.reference import Reference, reference_from, store_null
from driftwatch.reference.stored_null import SIZES, STEP, null_arrays, stored_null
from driftwatch.stats.sequential import SlidingNull

BUDGET, RESOLVE_AFTER = 1e4, 3


@pytest.fixture(scope="module")
def simulated(reference: Reference) -> SlidingNull:
    return reference.simulate(SIZES, STEP, samples=40_000)


def test_a_stored_null_gives_the_same_results(bundle: Path, reference: Reference, simulated: SlidingNull) -> None:
    # Loaded from a file with the bundle's other arrays, some of which share a name with a part of the null.
    others = {name: array for name, array in load_bundle(bundle).calibration.items() if not name.startswith("null.")}
    arrays = {name: np.ascontiguousarray(array) for name, array in null_arrays(simulated).items()}
    found = stored_null(arrays | others, reference.layout)
    assert found is not None
    for budget in (BUDGET, 1e6):
        before, after = (each.procedure(budget, RESOLVE_AFTER) for each in (simulated, found))
        assert (after.control, after.remarks, after.step) == (before.control, before.remarks, before.step)
    windows = np.stack(
        [reference.bank[start : start + SIZES[0]].sum(0, dtype=np.float64) for start in range(0, 500, 50)]
    )
    for before, after in zip(simulated.nulls.values(), found.nulls.values(), strict=True):
        one, other = before.test(windows), after.test(windows)
        for name, p_values in one.p_values.items():
            np.testing.assert_array_equal(p_values, other.p_values[name])
        np.testing.assert_array_equal(one.effect, other.effect)
        np.testing.assert_array_equal(one.deviations, other.deviations)
        np.testing.assert_array_equal(before.parts_mean, after.parts_mean)
        alone = np.concatenate([after.test(window[None]).statistics["combined"] for window in windows])
        np.testing.assert_array_equal(alone, other.statistics["combined"])


def test_a_stored_null_is_used_for_its_window_sizes_with_any_budget(
    reference: Reference, simulated: SlidingNull, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = replace(reference, stored=simulated)
    monkeypatch.setattr(references, "simulate_null", None)
    for budget in (BUDGET, 1e6):
        assert held.procedure(SIZES, STEP, budget=budget, resolve_after=RESOLVE_AFTER).nulls is simulated.nulls
    for sizes, step, by_time in (((50,), STEP, False), (SIZES, 5, False), (SIZES, STEP, True)):
        with pytest.raises(TypeError):
            held.procedure(sizes, step, budget=BUDGET, resolve_after=RESOLVE_AFTER, by_time=by_time)


def test_a_null_of_windows_that_are_large_for_the_bank_is_stored_too(reference: Reference) -> None:
    small = replace(reference, bank=reference.bank[:600])
    simulated = small.simulate(SIZES, STEP, samples=40_000)
    found = stored_null(null_arrays(simulated) | {"others": reference.others}, reference.layout)
    assert found is not None
    assert simulated.stretches is not None
    assert found.procedure(BUDGET, RESOLVE_AFTER).control == simulated.procedure(BUDGET, RESOLVE_AFTER).control
    window = reference.bank.sum(0, dtype=np.float64)[None] * SIZES[1] / len(reference.bank)
    one, other = (each.nulls[SIZES[1]].test(window).p_values for each in (simulated, found))
    assert one == other


def test_a_stored_null_of_another_format_is_ignored(reference: Reference, simulated: SlidingNull) -> None:
    arrays = null_arrays(simulated)
    arrays["null.about"] = arrays["null.about"] + [1, 0, 0, 0]
    assert stored_null(arrays, reference.layout) is None


def test_a_bundle_with_a_large_enough_bank_stores_a_null(
    bundle: Path, reference: Reference, simulated: SlidingNull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "simulate_null", lambda *_, **__: simulated)
    held = load_bundle(bundle).calibration
    arrays = {name: array for name, array in held.items() if not name.startswith("null.")}
    small = replace(reference, bank=reference.bank[:900])
    assert store_null(small, arrays) is small
    assert "null.about" not in arrays
    assert store_null(reference, arrays).stored is simulated
    found = reference_from(replace(load_bundle(bundle), calibration=arrays)).stored
    assert found is not None
    np.testing.assert_array_equal(found.p_values, simulated.p_values)
