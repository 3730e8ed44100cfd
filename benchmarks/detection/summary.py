"""All reports on one page: the alerting statistic, the likelihood test and the peers, at two window sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

SIZES = (5, 50)
SHOWN = {"combined": "combined", "typicality": "typicality", "MMD": "mmd", "KS": "ks"}
"""Column titles, and the prefixes of the contenders' names."""

DELAY = "delay"


def write_summary(folder: Path) -> None:
    """Write ``summary.md`` from the JSON files of a folder."""
    reports = {path.stem: orjson.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))}
    lines = [
        "# Detection compared with peers: summary",
        "",
        "AUROC in %, by samples in a window; the best of each row and size is bold where no other 95 % interval",
        "reaches its own. Each heading links to the full report.",
    ]
    for name, report in reports.items():
        if name != DELAY:
            lines += ["", f"## [{name}]({name}.md)", "", f"{report['about']['what']}.", "", *_table(report["rows"])]
    if DELAY in reports:
        lines += ["", "## [Delay](delay.md)", "", *_delays(reports[DELAY])]
    (folder / "summary.md").write_text("\n".join(lines) + "\n")


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    heads = [f"n={size} {title}" for size in SIZES for title in SHOWN]
    lines = ["| shift | " + " | ".join(heads) + " |", "| --- " * (1 + len(heads)) + "|"]
    for shift in dict.fromkeys(row["shift"] for row in rows):
        cells_of_row: list[str] = []
        for size in SIZES:
            cells = [_find(rows, shift, size, prefix) for prefix in SHOWN.values()]
            cells_of_row += [_cell(cell, [other for other in cells if other is not cell]) for cell in cells]
        lines.append(f"| {shift} | " + " | ".join(cells_of_row) + " |")
    return lines


def _find(rows: Sequence[Mapping[str, Any]], shift: str, size: int, prefix: str) -> Mapping[str, Any] | None:
    found = (row for row in rows if (row["shift"], row["window"]) == (shift, size))
    return next((row for row in found if row["contender"].startswith(prefix)), None)


def _cell(row: Mapping[str, Any] | None, others: Sequence[Mapping[str, Any] | None]) -> str:
    if row is None:
        return ""
    text = _percent(row)
    measured = [other for other in others if other is not None]
    best = all(row["low"] > other["high"] and text != _percent(other) for other in measured)
    return f"**{text}**" if best else text


def _percent(row: Mapping[str, Any]) -> str:
    return f"{100 * row['auroc']:.1f}"


def _delays(report: Mapping[str, Any]) -> list[str]:
    rows = report["delays"]
    shifts = list(dict.fromkeys(row["shift"] for row in rows))
    lines = ["Median samples from the change to the alarm, and samples between false alarms.", ""]
    lines += ["| procedure | false alarms every | " + " | ".join(shifts) + " |", "| --- " * (2 + len(shifts)) + "|"]
    for name, measured in report["run_times"].items():
        medians = {row["shift"]: row["median"]["value"] for row in rows if row["monitor"] == name}
        lines.append(f"| {name} | {measured['mean']:,.0f} | " + " | ".join(f"{medians[s]:,.0f}" for s in shifts) + " |")
    return lines
