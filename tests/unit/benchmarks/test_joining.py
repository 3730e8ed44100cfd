"""The loss by joining statistics follows from theory, and an oracle that knows the shifts has none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from benchmarks.detection.joined import Half, judged
from benchmarks.joining import losses
from driftwatch.stats.null import DETECTORS


def test_the_best_rule_loses_nothing_with_one_part_and_more_with_each_further_one() -> None:
    rng = np.random.default_rng(0)
    found = [losses(parts, 0.8, rng, draws=40_000) for parts in (1, 2, 4)]
    assert found[0] == pytest.approx((0.0, 0.0), abs=0.006)
    best = [each[0] for each in found]
    assert best[0] + 0.04 < best[1] < best[2] - 0.04
    # For two parts the best rule is close to the sum, whose AUROC is known: the shift over the spread of two.
    shift = 2**0.5 * float(ndtri(0.8))
    assert best[1] <= 0.8 - float(ndtr(shift / 2))
    assert all(0.0 <= ours - best < 0.01 for best, ours in found[1:])


def test_an_oracle_for_joint_shifts_has_no_gap(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    moves = np.zeros(len(DETECTORS))
    moves[2:4] = 1.0

    def surprises(shift: float) -> np.ndarray:
        return -np.log(ndtr(-(rng.standard_normal((2_000, len(DETECTORS))) + shift * moves)))

    halves = [Half(surprises(0.0), [surprises(1.0), surprises(1.5), surprises(9.0)]) for _ in range(2)]
    judged(("one", "more", "seen by all"), halves)
    output = capsys.readouterr().out
    assert "seen by all" not in output
    gap = float(output.split("oracle ")[-1].split(" (")[0])
    assert gap < -3.0
