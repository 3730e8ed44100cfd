"""One panel of each kind, drawn with matplotlib from what Prometheus answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MultipleLocator

from deploy.grafana.ask import Series
from deploy.grafana.words import COLOURS, formatted, text

PALETTE = ("#3b78c4", "#e0803a", "#4f9d55", "#8e5fb0", "#c4a21f", "#2fa3a3", "#b85c8a", "#6b7280")
GREY, FAINT = "#6b7280", "#e5e7eb"
SMALL, NORMAL = 7.0, 8.0
LEGEND_ROW = 0.17
"""Inches."""

TICKS = 6
BAR = 0.8
"""Of the time from one to the next."""


@dataclass(frozen=True)
class Box:
    """Where on a figure: left, bottom, width and height in inches."""

    left: float
    bottom: float
    width: float
    height: float

    def axes(self, figure: Figure) -> Axes:
        """Axes that fill it."""
        across, up = figure.get_size_inches()
        return figure.add_axes((self.left / across, self.bottom / up, self.width / across, self.height / up))


@dataclass(frozen=True)
class Shown:
    """A panel and what it shows.

    Args:
        panel: as in the dashboard.
        found: the answers by query.
        span: the time range, seconds since the epoch.
        marks: times at which the alarm was on, each from and to.
    """

    panel: Mapping[str, Any]
    found: Mapping[str, Sequence[Series]]
    span: tuple[float, float]
    marks: Sequence[tuple[float, float]]

    @property
    def field(self) -> Mapping[str, Any]:
        """Unit, thresholds and so on."""
        defaults: Mapping[str, Any] = self.panel["fieldConfig"]["defaults"]
        return defaults

    def lines(self) -> list[tuple[str, Series]]:
        """Every series that has a value, with the name of its query."""
        every = ((ref, series) for ref, found in self.found.items() for series in found)
        return [(ref, series) for ref, series in every if np.isfinite(series.values).any()]


def draw_panel(figure: Figure, box: Box, shown: Shown) -> None:
    """Draws what is inside of a panel's frame."""
    kinds: Mapping[str, Callable[[Figure, Box, Shown], None]] = {
        "timeseries": _timeseries,
        "stat": _stat,
        "state-timeline": _states,
        "table": _table,
        "heatmap": _heat_map,
        "bargauge": _gauges,
    }
    kinds[shown.panel["type"]](figure, box, shown)


def _timeseries(figure: Figure, box: Box, shown: Shown) -> None:
    custom, lines = shown.field.get("custom", {}), shown.lines()
    below = 0.28 + LEGEND_ROW * (1 + len(lines))
    axes = _plot(figure, Box(box.left + 0.52, box.bottom + below, box.width - 0.6, box.height - below), shown)
    limits = {each["matcher"]["options"] for each in shown.panel["fieldConfig"]["overrides"]}
    counted, below_bars = custom.get("drawStyle") == "bars", dict[float, float]()
    for number, (ref, series) in enumerate(lines):
        colour = PALETTE[number % len(PALETTE)]
        if ref in limits:
            axes.plot(series.times, series.values, color=COLOURS["red"], linewidth=1.2, linestyle=(0, (5, 3)))
        elif counted:
            for second, value in zip(series.times, series.values, strict=True):
                low = below_bars.get(second, 0.0)
                wide = BAR * _step(series)
                axes.bar(second - 0.5 * wide, value, wide, bottom=low, color=colour, alpha=0.85)
                below_bars[second] = low + value
        else:
            axes.plot(series.times, series.values, color=colour, linewidth=1.3)
            if custom.get("fillOpacity"):
                axes.fill_between(
                    series.times, series.values, color=colour, alpha=custom["fillOpacity"] / 100, linewidth=0
                )
    if custom.get("scaleDistribution", {}).get("type") == "log":
        axes.set_yscale("log")
    if "min" in shown.field:
        axes.set_ylim(bottom=shown.field["min"])
    if "max" in shown.field:
        axes.set_ylim(top=shown.field["max"] * 2)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: text(value, shown.field["unit"])))
    for start, end in shown.marks:
        axes.axvspan(start, end, color=COLOURS["red"], alpha=0.10, linewidth=0)
    _legend(figure, Box(box.left, box.bottom, box.width, LEGEND_ROW * (1 + len(lines))), shown, limits)


def _legend(figure: Figure, box: Box, shown: Shown, limits: set[str]) -> None:
    axes = _blank(figure, box)
    extreme = shown.panel["options"]["legend"]["calcs"][-1]
    places, y = {"last": 0.75, extreme: 0.08}, box.height - 0.5 * LEGEND_ROW
    for name, place in places.items():
        axes.text(box.width - place, y, name, fontsize=SMALL, color=GREY, ha="right", va="center")
    for number, (ref, series) in enumerate(shown.lines()):
        y = box.height - (number + 1.5) * LEGEND_ROW
        colour = COLOURS["red"] if ref in limits else PALETTE[number % len(PALETTE)]
        axes.plot([0.08, 0.26], [y, y], color=colour, linewidth=2, linestyle="--" if ref in limits else "-")
        axes.text(0.33, y, series.name, fontsize=SMALL, color=COLOURS["text"], va="center")
        values = np.asarray(series.values)
        of_all = np.nanmin(values) if extreme == "min" else np.nanmax(values)
        for place, value in zip(places.values(), (values[-1], of_all), strict=True):
            said = text(float(value), shown.field["unit"])
            axes.text(box.width - place, y, said, fontsize=SMALL, color=COLOURS["text"], ha="right", va="center")


def _stat(figure: Figure, box: Box, shown: Shown) -> None:
    options, lines = shown.panel["options"], shown.lines()
    axes = _blank(figure, box)
    if options["graphMode"] == "area" and lines and len(lines[0][1].values) > 1:
        series = lines[0][1]
        values = np.asarray(series.values)
        spread = float(np.ptp(values)) or 1.0
        x = np.linspace(0, box.width, len(values))
        colour = formatted(values[-1], shown.field)[1]
        axes.fill_between(
            x, 0.28 * box.height * (values - values.min()) / spread, color=colour, alpha=0.18, linewidth=0
        )
    middle = 0.52 * box.height
    for number, (_, series) in enumerate(lines):
        said, colour = formatted(series.values[-1], shown.field)
        across = (number + 0.5) * box.width / len(lines)
        if options["colorMode"] == "background":
            axes.add_patch(Rectangle((0, 0), box.width, box.height, color=colour, alpha=0.9))
            colour = "white"
        if options["textMode"] == "name":
            axes.text(across, middle, series.name, fontsize=12, color=colour, ha="center", va="center")
            continue
        axes.text(across, middle, said, fontsize=20 if len(lines) == 1 else 15, color=colour, ha="center", va="center")
        if len(lines) > 1:
            axes.text(across, 0.2 * box.height, series.name, fontsize=NORMAL, color=GREY, ha="center", va="center")


def _states(figure: Figure, box: Box, shown: Shown) -> None:
    lines = shown.lines()
    longest = max(len(series.name) for _, series in lines)
    left = min(0.09 * longest + 0.1, 0.4 * box.width)
    axes = _plot(figure, Box(box.left + left, box.bottom + 0.3, box.width - left - 0.1, box.height - 0.35), shown)
    for row, (_, series) in enumerate(reversed(lines)):
        step = _step(series)
        for begin, end, value in _runs(series, 1.5 * step):
            colour = formatted(value, shown.field)[1]
            axes.broken_barh([(begin, end + step - begin)], (row + 0.12, 0.76), color=colour, alpha=0.85, linewidth=0)
    axes.set_yticks([row + 0.5 for row in range(len(lines))], [series.name for _, series in reversed(lines)])
    axes.set_ylim(0, len(lines))
    axes.grid(visible=False)


def _table(figure: Figure, box: Box, shown: Shown) -> None:
    organised = next(each["options"] for each in shown.panel["transformations"] if each["id"] == "organize")
    named = sorted(organised["indexByName"], key=organised["indexByName"].__getitem__)
    fields = {
        each["matcher"]["options"]: {part["id"]: part["value"] for part in each["properties"]}
        for each in shown.panel["fieldConfig"]["overrides"]
    }
    key = named[0]
    merged: dict[str, dict[str, Any]] = {}
    for ref, series in shown.lines():
        merged.setdefault(series.labels[key], {}).update({**series.labels, f"Value #{ref}": series.values[-1]})
    axes = _blank(figure, box)
    width, height = box.width / len(named), 0.27
    for place, name in enumerate(named):
        title = organised["renameByName"].get(name, name)
        x, field = place * width + 0.08, fields.get(title, {})
        axes.text(
            x, box.height - 0.5 * height, title, fontsize=NORMAL, color=COLOURS["blue"], weight="bold", va="center"
        )
        for row, values in enumerate(merged.values(), 1):
            y = box.height - (row + 0.5) * height
            axes.plot([0, box.width], [y + 0.5 * height] * 2, color=FAINT, linewidth=0.6)
            value = values.get(name)
            said, colour = (
                ("", "")
                if value is None
                else (value, COLOURS["text"])
                if isinstance(value, str)
                else formatted(value, field)
            )
            cell = field.get("custom.cellOptions", {}).get("type", "")
            if cell == "color-background" and said:
                axes.add_patch(
                    Rectangle((x - 0.08, y - 0.5 * height), width, height, color=colour, alpha=0.85, linewidth=0)
                )
            shade = {"color-background": "white", "color-text": colour}.get(
                cell, COLOURS["blue" if "links" in field else "text"]
            )
            axes.text(x, y, said, fontsize=NORMAL, color=shade, va="center")


def _heat_map(figure: Figure, box: Box, shown: Shown) -> None:
    lines = sorted((series for _, series in shown.lines()), key=lambda series: float(series.labels["le"]))
    axes = _plot(figure, Box(box.left + 0.52, box.bottom + 0.3, box.width - 0.6, box.height - 0.38), shown)
    seconds = np.unique(np.concatenate([series.times for series in lines]))
    cumulated = np.array([np.interp(seconds, series.times, series.values) for series in lines])
    counts = np.diff(cumulated, axis=0, prepend=0)
    filled = np.flatnonzero(counts.sum(1) > 0)
    first, last = max(0, filled[0] - 1), min(len(lines) - 1, filled[-1] + 1)
    edges = np.append(seconds, 2 * seconds[-1] - seconds[-2])
    rows = np.ma.masked_less_equal(counts[first : last + 1], 0)
    axes.pcolormesh(edges, np.arange(first, last + 2), rows, cmap="Blues", norm=PowerNorm(0.5))
    bounds = [text(float(series.labels["le"]), "short") for series in lines]
    axes.set_yticks(range(first + 1, last + 2), bounds[first : last + 1])
    axes.set_ylabel("nats", fontsize=SMALL, color=GREY)
    for start, end in shown.marks:
        axes.axvspan(start, end, color=COLOURS["red"], alpha=0.06, linewidth=0)


def _gauges(figure: Figure, box: Box, shown: Shown) -> None:
    lines = shown.lines()
    axes = _blank(figure, box)
    largest = max(series.values[-1] for _, series in lines)
    height = box.height / len(lines)
    for number, (_, series) in enumerate(lines):
        y = box.height - (number + 0.5) * height
        axes.add_patch(Rectangle((1.3, y - 0.3 * height), box.width - 2.2, 0.6 * height, color=FAINT, linewidth=0))
        long = (box.width - 2.2) * series.values[-1] / largest
        axes.add_patch(Rectangle((1.3, y - 0.3 * height), long, 0.6 * height, color=PALETTE[0], linewidth=0))
        axes.text(1.2, y, series.name, fontsize=NORMAL, color=COLOURS["text"], ha="right", va="center")
        said = text(series.values[-1], shown.field["unit"])
        axes.text(box.width - 0.8, y, said, fontsize=NORMAL, color=COLOURS["text"], va="center")


def _plot(figure: Figure, box: Box, shown: Shown) -> Axes:
    axes = box.axes(figure)
    axes.set_xlim(*shown.span)
    apart = max(1, round((shown.span[1] - shown.span[0]) / 60 / TICKS)) * 60
    axes.xaxis.set_major_locator(MultipleLocator(apart))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda second, _: f"{datetime.fromtimestamp(second, UTC):%H:%M}"))
    axes.tick_params(which="both", labelsize=SMALL, colors=GREY, length=0)
    axes.spines[:].set_visible(False)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def _blank(figure: Figure, box: Box) -> Axes:
    """Axes in inches, with nothing of their own."""
    axes = box.axes(figure)
    axes.set_axis_off()
    axes.set_xlim(0, box.width)
    axes.set_ylim(0, box.height)
    return axes


def _runs(series: Series, apart: float) -> list[tuple[float, float, float]]:
    """Times from and to which a series had one value without a gap of more than `apart` seconds, and the value."""
    runs: list[tuple[float, float, float]] = []
    for second, value in zip(series.times, series.values, strict=True):
        if runs and runs[-1][2] == value and second - runs[-1][1] <= apart:
            runs[-1] = runs[-1][0], second, value
        else:
            runs.append((second, second, value))
    return runs


def _step(series: Series) -> float:
    """Seconds from one point to the next."""
    return float(np.median(np.diff(series.times))) if len(series.times) > 1 else 0.0
