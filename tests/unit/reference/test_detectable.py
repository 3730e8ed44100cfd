"""The smallest detectable shift has the stated power, also on windows of other samples."""

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
def found_and_progress(reference: Reference) -> tuple[Sequence[Detectable], list[str]]:
    progress: list[str] = []
    found = detectable(reference, waves(1_000, seed=70), seed=0, doing=lambda what, _: progress.append(what))
    return found, progress


def test_every_shift_and_window_is_reported(
    reference: Reference, found_and_progress: tuple[Sequence[Detectable], list[str]]
) -> None:
    rows, progress = found_and_progress
    shifts = [shift.name for shift in graded_shifts(reference.schema, waves(10))]
    assert [(row.shift, row.window) for row in rows] == [(shift, size) for shift in shifts for size in WINDOWS]
    assert progress == ["setting thresholds", *(f"finding the smallest detectable {shift}" for shift in shifts)]
    for row in rows:
        assert (row.size is not None) == (row.power >= POWER)
        assert row.budget == BUDGET


def test_larger_windows_detect_smaller_shifts(found_and_progress: tuple[Sequence[Detectable], list[str]]) -> None:
    sizes = {(row.shift, row.window): row.size or row.largest for row in found_and_progress[0]}
    for shift in dict.fromkeys(row.shift for row in found_and_progress[0]):
        assert sizes[shift, 500] <= sizes[shift, 50]
    assert any(sizes[row.shift, 500] < sizes[row.shift, 50] for row in found_and_progress[0])


@pytest.fixture(scope="module")
def simulated(reference: Reference) -> SlidingNull:
    return simulate_null(HeldOut(reference.bank), reference.layout, WINDOWS, STEP)


@pytest.fixture(scope="module")
def procedure(simulated: SlidingNull) -> Procedure:
    return simulated.procedure(BUDGET, RESOLVE_AFTER)


@pytest.mark.parametrize("name", ["blur", "noise", "darker"])
def test_the_power_holds_on_other_samples(
    reference: Reference, procedure: Procedure, found_and_progress: tuple[Sequence[Detectable], list[str]], name: str
) -> None:
    row = next(row for row in found_and_progress[0] if (row.shift, row.window) == (name, 50))
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


def test_a_shift_that_changes_nothing_is_not_detected(
    found_and_progress: tuple[Sequence[Detectable], list[str]],
) -> None:
    """Waves turned upside down are still waves."""
    row = next(row for row in found_and_progress[0] if (row.shift, row.window) == ("upside down", 500))
    assert row.size is None
    assert row.power < POWER


def test_a_share_of_foreign_samples_can_be_a_shift(
    reference: Reference, simulated: SlidingNull, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = GradedShift("foreign", "of the samples", 0.01, 1.0, (lambda x, _, __: shuffled_rows(x),), by_share=True)
    monkeypatch.setattr("driftwatch.reference.detectable.graded_shifts", lambda *_: (foreign,))
    held = replace(reference, stored=(simulated,))
    small_window, large_window = detectable(held, waves(1_000, seed=70), seed=0, doing=lambda *_: None)
    assert small_window.size is not None
    assert large_window.size is not None
    assert 0.01 < large_window.size < small_window.size <= 1.0


def test_the_result_is_deterministic_and_stored(
    reference: Reference, found_and_progress: tuple[Sequence[Detectable], list[str]]
) -> None:
    again = detectable(reference, waves(1_000, seed=70), seed=0, doing=lambda *_: None)
    assert again == found_and_progress[0]
    assert stored_detectable({"metrics": {"detectable": [row.to_json() for row in again]}}) == again
    assert stored_detectable({}) == ()


def test_windows_that_cannot_be_filled_are_omitted(reference: Reference) -> None:
    assert {row.window for row in detectable(reference, waves(150), seed=0, doing=lambda *_: None)} == {50}
    assert detectable(reference, waves(80), seed=0, doing=lambda *_: None) == ()


def test_a_result_says_if_it_is_beyond_the_sizes_that_were_tried() -> None:
    row = Detectable("blur", "pixels", 50, None, 0.1, 3.0, 0.2, 1e6)
    assert str(row) == "over 3"
    assert str(Detectable("blur", "pixels", 50, 0.1, 0.1, 3.0, 1.0, 1e6)) == "up to 0.1"
