"""Sums and minima of a queue depend only on what is in it, not on what passed through before."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.stats.running import RunningMinimum, RunningSum
from driftwatch.stats.summary import GRID, merge
from driftwatch.stats.sums import EXACT_UNITS, keep

NUMBERS = st.one_of(
    st.integers(-(1 << 40), 1 << 40).map(lambda units: units * GRID),
    st.sampled_from([EXACT_UNITS * GRID, 3 * EXACT_UNITS * GRID, 2.0**16, -1e300, 1e300, float("inf"), float("nan")]),
)


@given(st.lists(st.tuples(NUMBERS, st.integers(0, 3)), max_size=40))
def test_a_running_sum_is_exact_to_the_last_bit(steps: list[tuple[float, int]]) -> None:
    running, queue = RunningSum(), list[np.ndarray]()
    for number, popped in steps:
        queue.append(np.array([number, 1.0]))
        running.push(keep(queue[-1]))
        for _ in range(min(popped, len(queue) - 1)):
            queue.pop(0)
            running.pop()
        with np.errstate(all="ignore"):
            out = np.empty(2)
            assert running.total(out) is out
            assert np.array_equal(out, merge(queue), equal_nan=True)
            assert np.array_equal(running.total(), out, equal_nan=True)


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 3)), max_size=40))
def test_a_running_minimum_is_that_of_the_queue(steps: list[tuple[int, int]]) -> None:
    running, queue = RunningMinimum[int](), list[int]()
    for number, popped in steps:
        queue.append(number)
        running.push(number)
        for _ in range(min(popped, len(queue))):
            queue.pop(0)
            running.pop()
        assert bool(running) == bool(queue)
        if queue:
            assert running.least == min(queue)


def test_a_returned_total_does_not_change_later() -> None:
    running = RunningSum()
    running.push(keep(np.ones(2)))
    total = running.total()
    running.push(keep(np.ones(2)))
    assert total.tolist() == [1.0, 1.0]
