"""Windows by count hold the right panes for any stream of panes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.stats.summary import merge
from driftwatch.stats.sums import keep
from driftwatch.stream.alert import OffsetRange
from driftwatch.stream.count_windows import CountWindow
from driftwatch.stream.panes import Pane
from driftwatch.stream.sampling import Share

SIZE = 25


@st.composite
def a_pane(draw: st.DrawFn) -> Pane:
    offset, time_ms = draw(st.integers(0, 99)), draw(st.integers(0, 99))
    return Pane(
        "a",
        "v",
        draw(st.integers(1, 30)),
        keep(np.array([draw(st.integers(-100, 100)) / 4])),
        time_ms,
        time_ms + draw(st.integers(0, 9)),
        "input",
        draw(st.integers(0, 2)),
        (offset, 0),
        (offset + draw(st.integers(0, 9)), 0),
        share=Share(draw(st.sampled_from([0.25, 1.0])), 0),
    )


@given(st.lists(a_pane(), min_size=1, max_size=30))
def test_a_window_holds_the_fewest_newest_panes_that_fill_it(panes: list[Pane]) -> None:
    window = CountWindow(SIZE)
    for number, pane in enumerate(panes):
        window.push(pane)
        before = panes[: number + 1]
        held = next((before[-k:] for k in range(1, len(before) + 1) if sum(p.n for p in before[-k:]) >= SIZE), None)
        found = window.full()
        if held is None or found is None:
            assert held is found
            continue
        assert window.summary().tolist() == merge([each.summary for each in held]).tolist()
        span = found.span
        assert (span.size, span.samples) == (SIZE, sum(each.n for each in held))
        assert (span.start_ms, span.end_ms) == (min(p.start_ms for p in held), max(p.end_ms for p in held))
        assert span.share == min(each.share.part for each in held)
        assert span.offsets == tuple(
            OffsetRange(
                "input",
                partition,
                min(p.first[0] for p in held if p.partition == partition),
                max(p.last[0] for p in held if p.partition == partition),
            )
            for partition in sorted({each.partition for each in held})
        )
