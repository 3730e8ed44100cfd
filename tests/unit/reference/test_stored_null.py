"""Nulls of windows come with a bundle: the same thresholds everywhere, and no simulation at a start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftwatch.config import WindowsConfig
from driftwatch.reference import reference as references
from driftwatch.reference.bundle import load_bundle
from driftwatch.reference.loading import reference_from, store_nulls
from driftwatch.reference.reference import Reference
from driftwatch.reference.stored_null import FORMAT, SIZES, STEP, null_arrays, stored_nulls, without_nulls
from driftwatch.stats.null import WindowNull
from driftwatch.stats.sequential import SlidingNull
from driftwatch.stats.summary import Array

BUDGET, RESOLVE_AFTER = 1e4, 3


@pytest.fixture(scope="module")
def simulated(reference: Reference) -> SlidingNull:
    return reference.simulate(SIZES, STEP, samples=40_000)


@pytest.fixture(scope="module")
def timed(reference: Reference) -> SlidingNull:
    return reference.simulate((20, 100), STEP, samples=40_000, by_time=True)


def restored(reference: Reference, *simulated: SlidingNull) -> tuple[SlidingNull, ...]:
    """Nulls as a bundle's file brings them back, which knows nothing of an array's order in memory."""
    arrays = {name: np.ascontiguousarray(array) for each in simulated for name, array in null_arrays(each).items()}
    return stored_nulls(arrays | {"others": reference.others}, reference.layout)


def require_equal(before: WindowNull, after: WindowNull, windows: Array) -> None:
    """Requires that both judge windows alike, to the last bit, and each alone as among others."""
    one, other = before.test(windows), after.test(windows)
    for name, p_values in one.p_values.items():
        np.testing.assert_array_equal(p_values, other.p_values[name])
    np.testing.assert_array_equal(one.effect, other.effect)
    np.testing.assert_array_equal(one.deviations, other.deviations)
    np.testing.assert_array_equal(before.parts_mean, after.parts_mean)
    alone = np.concatenate([after.test(window[None]).statistics["combined"] for window in windows])
    np.testing.assert_array_equal(alone, other.statistics["combined"])


def windows_of(reference: Reference, size: int) -> Array:
    return np.stack(
        [reference.bank[start : start + size].sum(0, dtype=np.float64) for start in range(0, len(reference.bank), size)]
    )


def test_each_comes_back_as_it_was(
    bundle: Path, reference: Reference, simulated: SlidingNull, timed: SlidingNull
) -> None:
    # Of a file, beside the other arrays of a bundle, of which some have a name that is a part's as well.
    arrays = without_nulls(load_bundle(bundle).calibration)
    assert stored_nulls(arrays, reference.layout) == ()
    for each in (simulated, timed):
        arrays |= {name: np.ascontiguousarray(array) for name, array in null_arrays(each).items()}
    for each, found in zip((simulated, timed), stored_nulls(arrays, reference.layout), strict=True):
        for budget in (BUDGET, 1e6):
            before, after = (null.procedure(budget, RESOLVE_AFTER) for null in (each, found))
            assert (after.control, after.remarks, after.step) == (before.control, before.remarks, before.step)
        for size in each.nulls:
            require_equal(each.nulls[size], found.nulls[size], windows_of(reference, SIZES[0]))


def test_windows_by_time_of_any_size_come_back_too(reference: Reference, timed: SlidingNull) -> None:
    (found,) = restored(reference, timed)
    assert found.grid is not None
    assert timed.grid is not None
    sizes = [null.size for null in timed.grid.nulls]
    assert [null.size for null in found.grid.nulls] == sizes
    assert not {37, 125} & set(sizes), "these are to be interpolated"
    for size in (*sizes, 37, 125):
        require_equal(timed.grid.at(size), found.grid.at(size), windows_of(reference, size))


def test_is_taken_for_its_windows_whatever_the_budget(
    reference: Reference, simulated: SlidingNull, timed: SlidingNull, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = replace(reference, stored=(simulated, timed))
    monkeypatch.setattr(references, "simulate_null", None)
    for budget in (BUDGET, 1e6):
        found = held.procedure(SIZES, STEP, budget=budget, resolve_after=RESOLVE_AFTER)
        assert found.nulls is simulated.nulls
        found = held.procedure([20, 100], STEP, budget=budget, resolve_after=RESOLVE_AFTER, by_time=True)
        assert found.nulls is timed.nulls
        assert found.grid is timed.grid
    unknown = (((50,), STEP, False), (SIZES, 5, False), (SIZES, STEP, True), ((20, 100), STEP, False))
    for sizes, step, by_time in unknown:
        with pytest.raises(TypeError):
            held.procedure(sizes, step, budget=BUDGET, resolve_after=RESOLVE_AFTER, by_time=by_time)


def test_a_null_of_windows_that_are_large_for_the_bank_is_stored_too(reference: Reference) -> None:
    small = replace(reference, bank=reference.bank[:600])
    simulated = small.simulate(SIZES, STEP, samples=40_000)
    (found,) = restored(reference, simulated)
    assert simulated.stretches is not None
    assert found.procedure(BUDGET, RESOLVE_AFTER).control == simulated.procedure(BUDGET, RESOLVE_AFTER).control
    window = reference.bank.sum(0, dtype=np.float64)[None] * SIZES[1] / len(reference.bank)
    one, other = (each.nulls[SIZES[1]].test(window).p_values for each in (simulated, found))
    assert one == other


def test_a_stored_null_of_another_format_is_ignored(
    reference: Reference, simulated: SlidingNull, timed: SlidingNull
) -> None:
    arrays = null_arrays(simulated) | null_arrays(timed) | {"others": reference.others}
    arrays["null.about"] = arrays["null.about"] + [1, 0, 0, 0]
    (found,) = stored_nulls(arrays, reference.layout)
    assert found.is_of([20, 100], STEP, by_time=True)


def test_versions_that_know_one_null_find_that_of_the_default_windows(
    simulated: SlidingNull, timed: SlidingNull
) -> None:
    arrays = null_arrays(simulated)
    assert arrays["null.about"].tolist() == [FORMAT, STEP, 1_000, 1]
    assert arrays["null.sizes"].tolist() == list(SIZES)
    assert {name.split(".")[1] for name in arrays} == {"about", "sizes", "p_values", "stretches", *map(str, SIZES)}
    assert not arrays.keys() & null_arrays(timed).keys()
    assert not [name for name in null_arrays(timed) if name.startswith("null.")]


def test_a_bundle_with_a_large_enough_bank_stores_a_null(
    bundle: Path, reference: Reference, simulated: SlidingNull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "simulate_null", lambda *_, **__: simulated)
    plain = replace(reference, stored=())
    arrays = without_nulls(load_bundle(bundle).calibration)
    small = replace(plain, bank=reference.bank[:900])
    assert store_nulls(small, arrays) is small
    assert "null.about" not in arrays
    assert store_nulls(plain, arrays).stored == (simulated,)
    (found,) = reference_from(replace(load_bundle(bundle), calibration=arrays)).stored
    np.testing.assert_array_equal(found.p_values, simulated.p_values)


def test_a_bundle_may_hold_that_of_other_windows_too(
    bundle: Path, reference: Reference, simulated: SlidingNull, timed: SlidingNull, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Sequence[int], bool]] = []

    def simulate(*given: Any, by_time: bool, **_: Any) -> SlidingNull:
        asked.append((given[2], by_time))
        return timed if by_time else simulated

    monkeypatch.setattr(references, "simulate_null", simulate)
    arrays, windows = without_nulls(load_bundle(bundle).calibration), WindowsConfig(sizes=[20, 100, "5m"])
    small = replace(reference, stored=(), bank=reference.bank[:900])
    assert store_nulls(small, arrays, windows).stored == (timed,)
    assert asked == [([20, 100], True)]
    # What is there already is not simulated anew, but written again.
    held = replace(reference, stored=(simulated,))
    assert store_nulls(held, arrays, windows).stored == (simulated, timed)
    assert asked[1:] == [([20, 100], True)]
    found = reference_from(replace(load_bundle(bundle), calibration=arrays)).stored
    assert [each.is_of([20, 100], STEP, by_time=True) for each in found] == [False, True]
