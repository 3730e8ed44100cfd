"""Draws the dashboards without Grafana: ``python -m deploy.grafana.draw URL STREAM``, of the last quarter of an hour.

Each panel's own queries are asked of a Prometheus, and the answers laid out as the dashboard does: pictures of what the
panels show, not of how Grafana looks.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from deploy.grafana.ask import View, ask, ask_panel, filled
from deploy.grafana.drawn import NORMAL, Box, Shown, draw_panel
from deploy.grafana.words import COLOURS

FOLDER = Path(__file__).with_name("dashboards")
UNIT_WIDE, UNIT_HIGH = 0.58, 0.36
"""Inches of the grid that dashboards are laid out on."""

GAP, TITLE, TOP = 0.07, 0.26, 0.55
DPI = 100
PAGE, FRAME = "#f3f4f6", "#d7dae0"
LATELY_S = 900.0
SCRAPE_S = 15.0


def draw(view: View, folder: Path) -> None:
    """Writes ``dashboard-fleet.png`` and ``dashboard-stream.png``."""
    for path in sorted(FOLDER.glob("driftwatch-*.json")):
        board = json.loads(path.read_text())
        figure = drawn(view, board)
        figure.savefig(folder / f"dashboard-{path.stem.removeprefix('driftwatch-')}.png", dpi=DPI)


def drawn(view: View, board: Mapping[str, Any]) -> Figure:
    """A dashboard with all its panels."""
    places = [panel["gridPos"] for panel in board["panels"]]
    wide, high = 24 * UNIT_WIDE, max(place["y"] + place["h"] for place in places) * UNIT_HIGH + TOP
    figure = Figure(figsize=(wide, high), facecolor=PAGE)
    stream = (
        "".join(view.chosen["stream"]) if "stream" in {each["name"] for each in board["templating"]["list"]} else ""
    )
    title = " / ".join(filter(None, (board["title"].replace("driftwatch / ", ""), stream)))
    figure.text(0.15 / wide, 1 - 0.3 / high, title, fontsize=14, weight="bold", color=COLOURS["text"], va="center")
    marks = _marks(view, board)
    for panel in board["panels"]:
        place = panel["gridPos"]
        box = Box(
            place["x"] * UNIT_WIDE + GAP / 2,
            high - TOP - (place["y"] + place["h"]) * UNIT_HIGH + GAP / 2,
            place["w"] * UNIT_WIDE - GAP,
            place["h"] * UNIT_HIGH - GAP,
        )
        if panel["type"] == "row":
            y = (box.bottom + 0.5 * box.height) / high
            figure.text(0.15 / wide, y, panel["title"], fontsize=11, weight="bold", color=COLOURS["text"], va="center")
            continue
        _frame(figure, box, panel["title"])
        inner = Box(box.left + 0.06, box.bottom + 0.06, box.width - 0.12, box.height - TITLE - 0.1)
        found = ask_panel(view, board, panel)
        if any(found.values()):
            draw_panel(figure, inner, Shown(panel, found, (view.start, view.end), marks))
        else:
            figure.text(
                (box.left + 0.5 * box.width) / wide, (box.bottom + 0.45 * box.height) / high, "no data", ha="center"
            )
    return figure


def _frame(figure: Figure, box: Box, title: str) -> None:
    wide, high = figure.get_size_inches()
    patch = FancyBboxPatch(
        (box.left, box.bottom),
        box.width,
        box.height,
        boxstyle="round,pad=0,rounding_size=0.04",
        facecolor="white",
        edgecolor=FRAME,
        zorder=-1,
        linewidth=0.8,
        transform=figure.dpi_scale_trans,
    )
    figure.add_artist(patch)
    left, top = (box.left + 0.09) / wide, (box.bottom + box.height - 0.5 * TITLE - 0.02) / high
    figure.text(left, top, title, fontsize=NORMAL + 0.5, weight="bold", color=COLOURS["text"], va="center")


def _marks(view: View, board: Mapping[str, Any]) -> list[tuple[float, float]]:
    """When the alarm was on, by the dashboard's first annotation: begin and end of each period, seconds."""
    periods: list[tuple[float, float]] = []
    for each in board["annotations"].get("list", ())[:1]:
        for series in ask(view, filled(view, board, each["expr"])):
            for second in series.times:
                if periods and second - periods[-1][1] <= 1.5 * view.step_s:
                    periods[-1] = periods[-1][0], second
                else:
                    periods.append((second, second))
    return periods


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="of Prometheus")
    parser.add_argument("stream", help="that the second dashboard shows")
    options, now = parser.parse_args(), time.time()
    draw(View(options.url, now - LATELY_S, now, SCRAPE_S, {"stream": [options.stream]}), Path.cwd())
