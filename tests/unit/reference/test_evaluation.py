"""What an evaluation tells: the detectors by name, and that drift is told from none."""

from __future__ import annotations

import pytest

from driftwatch.reference.evaluation import TOLD, evaluate
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from tests.synthetic import shuffled_rows, waves


@pytest.mark.parametrize(
    ("options", "more"),
    [({}, ()), ({"with_parts": True}, ("moments",)), ({"with_baselines": True}, ("mmd", "ks"))],
)
def test_detectors_are_told_by_name(reference: Reference, options: dict[str, bool], more: tuple[str, ...]) -> None:
    moved = {"shuffled": shuffled_rows(waves(400, seed=31)), "none": waves(400, seed=32)}
    rows = list(evaluate(Scorer(reference), waves(400, seed=30), moved, windows=[1, 10], **options))
    assert [row.detector for row in rows] == [*TOLD, *more] * 4
    combined = {(row.shift, row.window): row.auroc for row in rows if row.detector == "combined"}
    assert combined["shuffled", 10] > 0.95
    assert combined["none", 10] == pytest.approx(0.5, abs=0.1)
