"""Sums of runs have the same bits however their rows are split into batches."""

from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.stats.run_sums import RunSums


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    batches=st.lists(st.integers(1, 50), min_size=1, max_size=20),
    seed=st.integers(0, 100),
)
def test_each_run_is_summed_row_by_row(lengths: list[int], batches: list[int], seed: int) -> None:
    ends = list(accumulate(lengths))
    rows = np.random.default_rng(seed).lognormal(0.0, 5.0, (ends[-1], 7))
    found = RunSums(ends, size=7)
    cuts = [*(cut for cut in accumulate(batches, initial=0) if cut < ends[-1]), ends[-1]]
    for start, end in pairwise(cuts):
        found.add(rows[start:end])
    for total, (start, end) in zip(found.sums, pairwise([0, *ends]), strict=True):
        expected = np.zeros(7)
        for row in rows[start:end]:
            expected += row
        np.testing.assert_array_equal(total, expected)
