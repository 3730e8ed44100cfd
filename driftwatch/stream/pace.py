"""How fast a stream's samples come, and whether that suits its windows and its budget."""

from __future__ import annotations

from collections.abc import Sequence

from driftwatch.stream.log import believed
from driftwatch.stream.panes import Pane

DAY_S, YEAR_S = 86_400.0, 365.25 * 86_400.0
LATE_S = DAY_S
"""A window that takes longer to fill reports drift late."""

RARE_S = 10 * YEAR_S
"""A budget of one false alarm in a longer time is stricter than anybody needs."""

PACED = 100
"""Number of panes that the pace is measured over."""


def pace(panes: Sequence[Pane]) -> float | None:
    """Samples per second of event time, over all panes later than the first; None if there are none.

    Args:
        panes: of a stream, in any order.
    """
    if not panes:
        return None
    timed = [(believed(pane.end_ms, pane.logged_ms), pane.n) for pane in panes]
    first, last = min(timed)[0], max(timed)[0]
    later = sum(n for time_ms, n in timed if time_ms > first)
    return 1000 * later / (last - first) if later else None


def pace_remarks(rate: float, sizes: Sequence[int], budget: float | None) -> tuple[str, ...]:
    """What a stream is too slow for, in words; empty if nothing.

    >>> pace_remarks(40 / 86_400, [50, 500], 1e4)
    ('at 40 samples a day a window of 50 is full after 1.2 days, and one of 500 after 12: drift is reported as late',)
    >>> pace_remarks(40 / 86_400, [10], 1e6)
    ('at 40 samples a day one false alarm in 1,000,000 samples is one in 68 years: allow more to find drift sooner',)
    >>> pace_remarks(10.0, [50, 500], 1e6)
    ()

    Args:
        rate: samples per second.
        sizes: of windows, in samples, ascending.
        budget: samples between false alarms; None if unknown.
    """
    remarks, daily = [], f"at {_figure(rate * DAY_S)} samples a day"
    late = [(size, size / rate / DAY_S) for size in sizes if size / rate > LATE_S]
    if late:
        (first, first_days), others = late[0], late[1:]
        more = "".join(f", and one of {size:,} after {_figure(days)}" for size, days in others)
        remarks.append(
            f"{daily} a window of {first:,} is full after {_figure(first_days)} days{more}: drift is reported as late"
        )
    if budget is not None and budget / rate > RARE_S:
        remarks.append(
            f"{daily} one false alarm in {budget:,.0f} samples is one in {_figure(budget / rate / YEAR_S)} years: "
            "allow more to find drift sooner"
        )
    return tuple(remarks)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
