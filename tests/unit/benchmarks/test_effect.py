"""The generated shifts have the size that the benchmark states, and one window is judged correctly."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.effect import BLOCKS, HELD_OUT, SHIFTS, Drawn, watch
from tests.gaussian import draw, fitted


@pytest.mark.parametrize("shift", SHIFTS)
def test_shifts_have_the_stated_divergence(shift: str) -> None:
    nats, move = SHIFTS[shift]
    values = np.concatenate([block.reshape(len(block), -1) for block in move(_normal(50_000))], axis=1)
    mean, variance = values.mean(0, dtype=np.float64), values.var(0, dtype=np.float64)
    divergence = 0.5 * float((np.square(mean) + variance - 1 - np.log(variance)).sum())
    assert divergence == pytest.approx(nats, abs=0.01)


def test_a_shifted_window_is_detected_by_both_methods() -> None:
    g, known = fitted(np.random.default_rng(1), BLOCKS, n=HELD_OUT), _normal(HELD_OUT)
    fresh = np.concatenate([block.reshape(HELD_OUT, -1) for block in known], axis=1)
    watched = watch(g.summaries(known).astype(np.float32), g.layout, g.others, fresh, (50, 500))
    same, moved = (move(_normal(500, seed=2)) for _, move in (SHIFTS["none"], SHIFTS["mean, more"]))
    for z, drifted in ((same, False), (moved, True)):
        samples = np.concatenate([block.reshape(500, -1) for block in z], axis=1)
        found = watched(500, Drawn(g.summaries(z), samples))
        assert found.sure is drifted
        assert (found.ks_p_value < 0.001) is drifted
        assert found.low < found.effect < found.high
        assert (found.low > 0) is drifted


def _normal(count: int, seed: int = 0) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    return draw(np.random.default_rng(seed), count, BLOCKS)
