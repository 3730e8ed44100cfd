"""Windows that slide over panes are the sums of their panes, however the stream is split into chunks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.stats.sliding import sliding_windows


@given(
    cuts=st.lists(st.integers(0, 60), max_size=8).map(sorted),
    widths=st.lists(st.integers(1, 25), min_size=1, max_size=3),
)
def test_windows_are_sums_of_their_panes(cuts: list[int], widths: list[int]) -> None:
    panes = np.random.default_rng(0).standard_normal((60, 3))
    by_chunk = list(sliding_windows(np.split(panes, cuts), widths))
    for place, width in enumerate(widths):
        found = np.concatenate([windows[place] for windows in by_chunk])
        expected = np.stack([panes[end - width : end].sum(0) for end in range(max(widths), 61)])
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_short_stream_has_no_window() -> None:
    assert list(sliding_windows([np.ones((4, 2))], [5])) == []
