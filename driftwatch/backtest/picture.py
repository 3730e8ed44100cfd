"""The picture of a backtest: effects and p-values of all windows over the stream, and the alarms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from driftwatch.backtest.history import History

COLOURS = ("#2563eb", "#f59e0b", "#16a34a", "#7c3aed")
RED, GREY = "#dc2626", "#6b7280"
LEAST_P = 1e-30
"""Smaller p-values are drawn here: how small they are does not matter any more."""


def write_picture(path: Path, history: History, name: str) -> None:
    """Write the picture as a PNG.

    Args:
        path: of the file.
        history: what happened.
        name: of the stream.
    """
    figure = Figure(figsize=(12, 6.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    found, policy = history.windows, history.standard.policy
    place = found["end_ms"].astype("datetime64[ms]") if history.timed else found["end"]
    for number, size in enumerate(history.sizes):
        among = found["window"] == str(size)
        style = {"color": COLOURS[number % len(COLOURS)], "linewidth": 0.8, "label": f"windows of {size}"}
        upper.plot(place[among], found["effect_nats"][among], **style)
        lower.semilogy(place[among], np.maximum(found["p_value"][among], LEAST_P), **style)
    if policy.min_effect:
        upper.axhline(policy.min_effect, color=RED, linestyle=":", label=f"min_effect {policy.min_effect:g}")
    lower.axhline(
        policy.threshold, color=RED, linestyle=":", label=f"windows by count alarm at p ≤ {policy.threshold:.2g}"
    )
    alarms = history.alarms
    upper.set_title(
        f"{name}: {len(alarms):,} alarm{'s' * (len(alarms) != 1)} in {history.samples:,} samples (red)",
        loc="left",
        parse_math=False,
    )
    upper.set(ylabel="effect (nats per sample)")
    lower.set(ylabel="p-value", ylim=(LEAST_P / 3, 3))
    end = place.max() if len(place) else 0
    for axes in (upper, lower):
        for alarm in alarms:
            since = np.datetime64(alarm.since_ms, "ms") if history.timed else alarm.since_row
            over = np.datetime64(alarm.until_ms, "ms") if history.timed else alarm.until_row
            axes.axvspan(since, end if alarm.until_row is None else over, color=RED, alpha=0.15, linewidth=0)
            axes.axvline(since, color=RED, linewidth=0.8)
        _finish(axes, timed=history.timed)
    lower.set_xlabel("event time (UTC)" if history.timed else "row")
    figure.savefig(path, dpi=110)


def _finish(axes: Axes, *, timed: bool) -> None:
    if timed:
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.margins(x=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", fontsize=8, frameon=False)
