"""Missing and unseen values are counted by column, in windows as in rows."""

from __future__ import annotations

from collections import deque

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.data.flaws import FlawCounter, Flaws, add_flaws
from driftwatch.data.schema import Column, TableSchema, VectorSchema
from driftwatch.stats.sums import keep
from driftwatch.stream.count_windows import CountWindow
from driftwatch.stream.panes import Pane

SCHEMA = TableSchema(
    columns=(Column(name="age", kind="numeric"), Column(name="town", kind="category", categories=("a", "b")))
)
flaws = st.dictionaries(st.sampled_from(["age", "town"]), st.tuples(st.integers(0, 3), st.integers(0, 3)))


def test_only_columns_with_flaws_are_reported() -> None:
    rows = np.array([[1.0, 2.0], [2.0, 2.0], [np.nan, 1.0], [2.0, np.nan]])
    assert FlawCounter(SCHEMA)(rows) == {"age": (1, 0), "town": (1, 2)}
    assert FlawCounter(SCHEMA)(rows[:0]) == {}
    assert FlawCounter(VectorSchema(dim=2))(rows) == {}


def test_flaws_are_counted_for_each_run_of_rows() -> None:
    rows = np.array([[np.nan, 2.0], [2.0, 2.0], [2.0, 1.0], [2.0, np.nan], [np.nan, 0.0]])
    found = FlawCounter(SCHEMA).of_runs(rows, [2, 3, 5])
    assert found == [{"age": (1, 0), "town": (0, 2)}, {}, {"age": (1, 0), "town": (1, 0)}]
    assert FlawCounter(VectorSchema(dim=2)).of_runs(rows, [2, 5]) == [{}, {}]


def pane(number: int, samples: int, found: Flaws) -> Pane:
    return Pane("a", "v", samples, keep(np.zeros(1)), number, number, "in", 0, (number, 0), (number, 0), flaws=found)


@given(st.lists(st.tuples(st.integers(1, 5), flaws), min_size=1, max_size=40), st.integers(1, 20))
def test_the_flaws_of_a_window_are_those_of_its_panes(panes: list[tuple[int, Flaws]], size: int) -> None:
    window, held = CountWindow(size), deque[Pane]()
    for number, (samples, found) in enumerate(panes):
        newest = pane(number, samples, found)
        window.push(newest)
        held.append(newest)
        while sum(each.n for each in held) - held[0].n >= size:
            held.popleft()
        if (full := window.full()) is not None:
            expected = {name: both for name, both in add_flaws(each.flaws for each in held).items() if any(both)}
            assert full.flaws == expected
