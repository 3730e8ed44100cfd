"""A backtest's results on the terminal: alarms, periods, and the number of alarms that the budget allows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from driftwatch.cli.console import stdout, table

if TYPE_CHECKING:
    from driftwatch.backtest.history import Alarm, History
    from driftwatch.config import DaemonConfig

_DEVIATIONS = re.compile("standard deviations?")
MOST_ALARMS = 40
MONTH_S = 30 * 86_400
OFTEN = 0.5
"""Share of the tests with an alarm on above which an alarm says little."""


def show(history: History, config: DaemonConfig, stream: str) -> None:
    """Print the results to stdout."""
    console, reference = stdout(), history.reference
    windows, alerts = config.windows, config.alerts
    span = f", {_minute(history.first_ms)} to {_minute(history.last_ms)} UTC" if history.timed else ""
    for line in (
        f"{stream}: {history.samples:,} samples{span}",
        f"compared with {reference.name} {reference.version}; windows of {', '.join(map(str, windows.sizes))}, every "
        f"{windows.step} samples; alarm at p <= {history.standard.policy.threshold:.3g}, and "
        f"{alerts.min_effect:g} nats/sample or more",
        "",
    ):
        console.print(line)
    alarms = history.alarms
    if alarms:
        rows = table("", "since", "until", "severity", "window", "effect", "p", "what moved", numeric=("window", "p"))
        for alarm in alarms[:MOST_ALARMS]:
            rows.add_row(*_cells(alarm, timed=history.timed))
        console.print(rows)
        if len(alarms) > MOST_ALARMS:
            console.print(f"and {len(alarms) - MOST_ALARMS:,} more alarms: --out writes all of them")
        console.print()
    _show_periods(history)
    for line in _lines(history):
        console.print(line)


def _show_periods(history: History) -> None:
    effects = [f"effect, {size}" for size in history.sizes]
    numeric = ("samples", "alarms", "on", *effects)
    rows = table("", "", *numeric, "what moved", numeric=numeric)
    for period in history.periods():
        by_size = [period.windows.get(size) for size in history.sizes]
        nats = [f"{each.median:.2g}, {each.upper:.2g}" if each else "" for each in by_size]
        firing = f"{100 * period.firing:.0f} %"
        rows.add_row(period.name, f"{period.samples:,}", str(period.alarms), firing, *nats, _short(period.moved))
    stdout().print(rows)
    stdout().print(
        "on: share of the tests with an alarm on; effect: nats/sample in windows of a size, the median, and what one "
        "in twenty exceeds; sd: the reference's standard deviations\n"
    )


def _lines(history: History) -> Iterator[str]:
    """The conclusions, in lines."""
    import numpy as np

    alarms, control = history.alarms, history.standard.procedure.control
    months = (history.last_ms - history.first_ms) / 1000 / MONTH_S if history.timed else 0.0
    pace = f", {len(alarms) / months:.2g} in 30 days" if months else ""
    low, high = history.false_alarms
    yield (
        f"{_counted(alarms)}{pace}; without drift the budget of one in {control.budget:,.0f} samples allows "
        f"{history.samples / control.budget:.2g}, and {low:.2g} to {high:.2g} given how well it is calibrated (95 %)"
    )
    firing = history.firing
    if len(firing) and (share := float(firing.mean())) > OFTEN:
        found, longest = history.windows, max(history.standard.procedure.nulls)
        median, upper = np.quantile(found["effect_nats"][found["window"] == str(longest)], (0.5, 0.95))
        yield (
            f"an alarm was on in {100 * share:.0f} % of the tests: most of this data is unlike the reference. Train on "
            "data that covers its hours and seasons, or set alerts.min_effect above what is usual: half of the windows "
            f"of {longest} are {median:.2g} nats/sample off, one in twenty {upper:.2g} or more"
        )


def _counted(alarms: list[Alarm]) -> str:
    lasts = any(alarm.until_row is None for alarm in alarms)
    on = ("" if len(alarms) == 1 else " the last") + " still on at the end"
    return f"{len(alarms):,} alarm{'s' * (len(alarms) != 1)}{f',{on}' if lasts else ''}"


def _cells(alarm: Alarm, *, timed: bool) -> tuple[str, ...]:
    since = _minute(alarm.since_ms) if timed else f"row {alarm.since_row:,}"
    until = "still on"
    if alarm.until_row is not None:
        until = _minute(alarm.until_ms or 0) if timed else f"row {alarm.until_row:,}"
    effect = f"{alarm.effect:.2g}, then {alarm.largest:.2g}" if alarm.largest > alarm.effect else f"{alarm.effect:.2g}"
    return since, until, alarm.severity, str(alarm.window), effect, f"{alarm.p_value:.1g}", _short(alarm.explanation)


def _short(explanation: str) -> str:
    """An explanation without what other columns show, with standard deviations abbreviated to sd."""
    words = [each for each in explanation.split("; ") if not each.endswith("nats/sample in all")]
    if words[0].startswith("again: "):
        words[0] = "again"
    return "; ".join(_DEVIATIONS.sub("sd", each) for each in words)


def _minute(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")
