"""The comparison finds every way in which a log can differ from the expected one."""

from __future__ import annotations

import pytest

from tests.chaos.comparison import Comparison, compare

EXPECTED = {"calm": [b"1", b"2", b"3", b"2"], "drifting": [b"4"]}


@pytest.mark.parametrize(
    ("found", "difference"),
    [
        ({"calm": [b"1", b"2", b"3", b"2"], "drifting": [b"4"]}, {}),
        ({"calm": [b"1", b"2", b"3", b"2"]}, {"lost": 1}),
        ({"calm": [b"1", b"3", b"2"], "drifting": [b"4"]}, {"lost": 1}),
        ({"calm": [b"1", b"2", b"3", b"2", b"1"], "drifting": [b"4"]}, {"repeated": 1}),
        ({"calm": [b"1", b"2", b"3", b"2"], "drifting": [b"5"]}, {"lost": 1, "foreign": 1}),
        ({"calm": [b"2", b"1", b"3", b"2"], "drifting": [b"4"]}, {"displaced": 2}),
        ({"calm": [b"1", b"2", b"3", b"2"], "drifting": [b"4"], "other": [b"1"]}, {"foreign": 1}),
    ],
)
def test_differences_are_counted(found: dict[str, list[bytes]], difference: dict[str, int]) -> None:
    comparison = compare("windows", EXPECTED, found)
    assert comparison == Comparison("windows", 5, **difference)
    assert comparison.exact == (not difference)
