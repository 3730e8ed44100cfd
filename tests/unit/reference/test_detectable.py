"""The smallest detectable shift has the power that is stated, on windows of other samples too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from driftwatch.data.graded import GradedShift, graded_shifts
from driftwatch.reference.detectable import (
    BUDGET,
    POWER,
    RESOLVE_AFTER,
    STEP,
    WINDOWS,
    Detectable,
    detectable,
    stored_detectable,
)
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.resample import null_windows
from driftwatch.stats.sequential import Procedure, SlidingNull, simulate_null
from tests.synthetic import shuffled_rows, waves


@pytest.fixture(scope="module")
def told(reference: Reference) -> tuple[Sequence[Detectable], list[str]]:
    doings: list[str] = []
    found = detectable(reference, waves(1_000, seed=70), seed=0, doing=lambda what, _: doings.append(what))
    return found, doings


def test_tells_of_every_shift_and_window(reference: Reference, told: tuple[Sequence[Detectable], list[str]]) -> None:
    rows, doings = told
    shifts = [shift.name for shift in graded_shifts(reference.schema, waves(10))]
    assert [(row.shift, row.window) for row in rows] == [(shift, size) for shift in shifts for size in WINDOWS]
    assert doings == ["setting thresholds", *(f"finding the smallest detectable {shift}" for shift in shifts)]
    for row in rows:
        assert (row.size is not None) == (row.power >= POWER)
        assert row.budget == BUDGET


def test_larger_windows_detect_smaller_shifts(told: tuple[Sequence[Detectable], list[str]]) -> None:
    sizes = {(row.shift, row.window): row.size or row.largest for row in told[0]}
    for shift in dict.fromkeys(row.shift for row in told[0]):
        assert sizes[shift, 500] <= sizes[shift, 50]
    assert any(sizes[row.shift, 500] < sizes[row.shift, 50] for row in told[0])


@pytest.fixture(scope="module")
def simulated(reference: Reference) -> SlidingNull:
    return simulate_null(HeldOut(reference.bank), reference.layout, WINDOWS, STEP)


@pytest.fixture(scope="module")
def procedure(simulated: SlidingNull) -> Procedure:
    return simulated.procedure(BUDGET, RESOLVE_AFTER)


@pytest.mark.parametrize("name", ["blur", "noise", "darker"])
def test_the_power_holds_on_other_samples(
    reference: Reference, procedure: Procedure, told: tuple[Sequence[Detectable], list[str]], name: str
) -> None:
    row = next(row for row in told[0] if (row.shift, row.window) == (name, 50))
    shift = next(shift for shift in graded_shifts(reference.schema, waves(10)) if shift.name == name)

    def power(size: float) -> float:
        rng, fresh = np.random.default_rng(1), waves(3_000, seed=71)
        moved = shift.moves[0](fresh, size, rng)
        bank = np.concatenate(list(Scorer(reference).summaries(moved))).astype(np.float32)
        windows = null_windows(HeldOut(bank), reference.layout, 50, count=400, seed=2)
        p_values = procedure.nulls[50].judge(windows).p_values["combined"]
        return float((p_values <= procedure.control.threshold).mean())

    assert row.size is not None
    assert power(row.size) > POWER - 0.15
    assert power(row.size / 2) < POWER - 0.15


def test_a_shift_that_changes_nothing_is_not_detected(told: tuple[Sequence[Detectable], list[str]]) -> None:
    """Waves that are turned upside down are waves still."""
    row = next(row for row in told[0] if (row.shift, row.window) == ("upside down", 500))
    assert row.size is None
    assert row.power < POWER


def test_a_share_of_samples_is_mixed_in(
    reference: Reference, simulated: SlidingNull, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = GradedShift("foreign", "of the samples", 0.01, 1.0, (lambda x, _, __: shuffled_rows(x),), by_share=True)
    monkeypatch.setattr("driftwatch.reference.detectable.graded_shifts", lambda *_: (foreign,))
    held = replace(reference, stored=(simulated,))
    few, many = detectable(held, waves(1_000, seed=70), seed=0, doing=lambda *_: None)
    assert few.size is not None
    assert many.size is not None
    assert 0.01 < many.size < few.size <= 1.0


def test_is_deterministic(reference: Reference, told: tuple[Sequence[Detectable], list[str]]) -> None:
    again = detectable(reference, waves(1_000, seed=70), seed=0, doing=lambda *_: None)
    assert again == told[0]
    assert stored_detectable({"metrics": {"detectable": [row.to_json() for row in again]}}) == again
    assert stored_detectable({}) == ()


def test_windows_that_cannot_be_filled_are_left_out(reference: Reference) -> None:
    assert {row.window for row in detectable(reference, waves(150), seed=0, doing=lambda *_: None)} == {50}
    assert detectable(reference, waves(80), seed=0, doing=lambda *_: None) == ()


def test_says_when_it_is_beyond_what_was_tried() -> None:
    row = Detectable("blur", "pixels", 50, None, 0.1, 3.0, 0.2, 1e6)
    assert str(row) == "over 3"
    assert str(Detectable("blur", "pixels", 50, 0.1, 0.1, 3.0, 1.0, 1e6)) == "up to 0.1"
