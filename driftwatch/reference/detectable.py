"""The smallest drift that a reference detects: the size of each kind of shift at which nine windows in ten alarm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.graded import GradedShift, graded_shifts
from driftwatch.data.schema import ImageSchema, Samples
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.resample import null_windows, repeats
from driftwatch.stats.sequential import Procedure

WINDOWS = (50, 500)
STEP = 10
RESOLVE_AFTER = 3
BUDGET = 1e6
"""Samples between false alarms."""

POWER = 0.9
FRESH_IMAGES, FRESH_ROWS = 1_000, 2_000
"""Samples to shift: images cost much more, and 1,000 of 28x28 pixels take a minute on one core."""

SIZES = 31
"""Sizes to distinguish, evenly on a logarithmic scale: bisection finds one, or that none suffices, in five steps."""

MOST_DRAWN, PASSES = 400, 20
"""Windows that measure the power at one size, and the most passes through the samples that they take."""

SIMULATED, SIMULATED_PASSES = 400_000, 400
"""Samples of the stream that sets the threshold, and the most passes through the bank that it takes."""


@dataclass(frozen=True)
class Detectable:
    """The smallest size of a shift that windows of one size detect.

    Args:
        shift: its kind.
        unit: of `size`.
        window: samples in a window.
        size: the smallest with power `POWER`; None if even the largest that was tried has less.
        smallest: the smallest size that was tried.
        largest: the largest size that was tried.
        power: share of windows of shifted samples that alarm at `size`, or at `largest` if that is None.
        budget: samples between false alarms of the whole procedure, with windows of `WINDOWS` every `STEP` samples.
    """

    shift: str
    unit: str
    window: int
    size: float | None
    smallest: float
    largest: float
    power: float
    budget: float

    def __str__(self) -> str:
        if self.size is None:
            return f"over {self.largest:g}"
        return f"{self.size:.2g}" if self.size > self.smallest else f"up to {self.size:.2g}"

    def to_json(self) -> dict[str, str | int | float | None]:
        """A JSON-able row."""
        return asdict(self)


def stored_detectable(manifest: Mapping[str, Any]) -> tuple[Detectable, ...]:
    """The detectable shifts in a bundle's manifest; empty if it has none."""
    return tuple(Detectable(**row) for row in manifest.get("metrics", {}).get("detectable", ()))


def detectable(
    reference: Reference, fresh: Samples, *, seed: int, doing: Callable[[str, float], None]
) -> tuple[Detectable, ...]:
    """Find the smallest detectable shifts.

    Args:
        reference: calibrated.
        fresh: samples that it was neither fitted to nor calibrated on, ``(N, *sample_shape)``. Windows for which these
            samples or the bank are too few are left out.
        seed: of the shifts and of the windows.
        doing: called with the current activity, and the share that is done.
    """
    fresh = fresh[: FRESH_IMAGES if isinstance(reference.schema, ImageSchema) else FRESH_ROWS]
    windows = [size for size in WINDOWS if not repeats(size, min(len(fresh), len(reference.bank)))]
    if not windows:
        return ()
    scorer = Scorer(reference)
    doing("setting thresholds", 0.0)
    samples = min(SIMULATED, SIMULATED_PASSES * len(reference.bank))
    procedure = reference.procedure(windows, STEP, budget=BUDGET, resolve_after=RESOLVE_AFTER, samples=samples)
    shifts = graded_shifts(reference.schema, fresh)
    rows = []
    for number, shift in enumerate(shifts):
        doing(f"finding the smallest detectable {shift.name}", number / len(shifts))
        powers = _Powers(scorer, procedure, shift, fresh, seed)
        rows += [_smallest(powers, shift, window) for window in windows]
    return tuple(rows)


class _Powers:
    """The power of each window size against each size of a shift; one scoring serves all window sizes."""

    def __init__(self, scorer: Scorer, procedure: Procedure, shift: GradedShift, fresh: Samples, seed: int) -> None:
        self._scorer, self._procedure, self._shift, self._fresh, self._seed = scorer, procedure, shift, fresh, seed
        self.sizes: Sequence[float] = np.geomspace(shift.smallest, shift.largest, SIZES).tolist()
        self._found: dict[int, dict[int, float]] = {}
        # If the shift moves a share of the samples, shifted and plain ones are scored once, and mixed for each size.
        self._moved = (
            [self._scorer.bank(move(fresh, 1.0, self._rng())) for move in shift.moves] if shift.by_share else []
        )
        self._plain = self._scorer.bank(fresh) if shift.by_share else None
        self._turns = self._rng().permutation(len(fresh))

    def __call__(self, place: int) -> dict[int, float]:
        """The power against the shift of the size at index `place`, by window size."""
        if place not in self._found:
            banks = [self._shifted(number, self.sizes[place]) for number in range(len(self._shift.moves))]
            self._found[place] = {window: self._power(banks, window) for window in self._procedure.nulls}
        return self._found[place]

    def _shifted(self, number: int, size: float) -> NDArray[np.float32]:
        if self._plain is None:
            return self._scorer.bank(self._shift.moves[number](self._fresh, size, self._rng()))
        moves = self._turns < size * len(self._turns)
        return np.where(moves[:, None], self._moved[number], self._plain)

    def _power(self, banks: Sequence[NDArray[np.float32]], window: int) -> float:
        null, threshold = self._procedure.nulls[window], self._procedure.control.threshold
        count = min(MOST_DRAWN, PASSES * len(self._fresh) // window)
        found = []
        for bank in banks:
            layout = self._scorer.layout
            measured = null_windows(HeldOut(bank), layout, window, count=count, seed=self._seed)
            found.append(float((null.judge(measured).p_values["combined"] <= threshold).mean()))
        return float(np.mean(found))

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self._seed)


def _smallest(powers: _Powers, shift: GradedShift, window: int) -> Detectable:
    low, high = 0, SIZES
    while low < high:
        middle = (low + high) // 2
        if powers(middle)[window] >= POWER:
            high = middle
        else:
            low = middle + 1
    size = powers.sizes[high] if high < SIZES else None
    power = powers(min(high, SIZES - 1))[window]
    return Detectable(shift.name, shift.unit, window, size, shift.smallest, shift.largest, power, BUDGET)
