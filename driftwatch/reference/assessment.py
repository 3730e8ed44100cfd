"""Assessment of a calibrated reference: how well it separates built-in shifts from fresh reference samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from driftwatch.data.corruptions import corruptions_for
from driftwatch.data.schema import Samples
from driftwatch.reference.evaluation import Evaluation, evaluate
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.summary import Array

WINDOWS = (1, 5, 50)
SCORED_SAMPLES = 500
REFERENCE = "reference"


@dataclass(frozen=True)
class Assessment:
    """Figures for a report.

    Args:
        evaluations: of every detector.
        scores: of some samples, nats ``(N,)``, by shift; those of the reference are under `REFERENCE`.
    """

    evaluations: tuple[Evaluation, ...]
    scores: Mapping[str, Array]

    @property
    def combined(self) -> tuple[Evaluation, ...]:
        """Evaluations of the combined detector, which raises alerts."""
        return tuple(row for row in self.evaluations if row.detector == "combined")


def assess(reference: Reference, fresh: Samples, *, seed: int, doing: Callable[[str, float], None]) -> Assessment:
    """Evaluate the built-in shifts of `driftwatch.data.corruptions`.

    Args:
        reference: calibrated.
        fresh: samples that it was neither fitted to nor calibrated on, ``(N, *sample_shape)``.
        seed: of the shifts and of the windows.
        doing: called with the current step and the share that is done.

    Raises:
        DataError: there are too few samples.
    """
    scorer = Scorer(reference)
    rng = np.random.default_rng(seed)
    shifted = {name: shift(fresh, rng) for name, shift in corruptions_for(reference.schema).items()}
    count = len(shifted) * len(WINDOWS)
    seen: dict[tuple[str, int], None] = {}
    rows = []
    doing("evaluating", 0.0)
    for row in evaluate(scorer, fresh, shifted, windows=WINDOWS, seed=seed):
        rows.append(row)
        seen[row.shift, row.window] = None
        doing(f"evaluating {row.shift}", len(seen) / count)
    scores = {
        name: scorer.scores(samples[:SCORED_SAMPLES]).score for name, samples in {REFERENCE: fresh, **shifted}.items()
    }
    return Assessment(tuple(rows), scores)
