"""The report: Markdown for people, JSON for programs."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from benchmarks.detection.run import Extent, Row

ABSENT = "not installed: `make bench-detection` sets up an environment that has it"


@dataclass(frozen=True)
class Told:
    """What a report says beside its figures.

    Args:
        command: that gives it again.
        extent: how much was measured.
        packages: versions of the peers' packages; empty for those that are not installed.
        materials: what each is, by name, with its bundle's version.
        left_out: parts that could not be measured, and why.
        milliseconds: per window, by contender and material.
        agreement: the largest difference between our KS distances and alibi-detect's, if compared.
        minutes: that it took.
    """

    command: str
    extent: Extent
    packages: Mapping[str, str]
    materials: Mapping[str, str]
    left_out: Mapping[str, str]
    milliseconds: Mapping[str, Mapping[str, float]]
    agreement: float | None
    minutes: float


def write_json(path: Path, rows: Sequence[Row], told: Told) -> None:
    """All figures, with their intervals."""
    data = {"about": asdict(told) | {"python": platform.python_version()}, "rows": [asdict(row) for row in rows]}
    path.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")


def write_markdown(path: Path, rows: Sequence[Row], told: Told, plots: Sequence[Path]) -> None:
    """A table for each material."""
    extent = told.extent
    lines = [
        "# Detection beside peers",
        "",
        f"    {told.command}",
        "",
        "AUROC in %: how often a shifted window scores higher than a window of the reference, ± half the 95 %",
        f"bootstrap interval. {extent.windows:,} windows a side, the same for all contenders; slow ones get the first",
        "of them, as many as the last table says. `combined` is what alerts go by, `kl` to `nll` are parts of it;",
        "`typicality` and `nll` are plain likelihood on the same flow. Peers are fitted to",
        f"{extent.known:,} samples of what the flow was trained on. Seed {extent.seed}.",
        "",
        *(f"- {name} {version or ABSENT}" for name, version in told.packages.items()),
        *(f"- left out: {name}: {why}" for name, why in told.left_out.items()),
        "",
        "alibi-detect is licensed under BSL 1.1; it is measured here and is no part of driftwatch.",
    ]
    for material, what in told.materials.items():
        mine = [row for row in rows if row.material == material]
        if mine:
            lines += ["", f"## {material}", "", f"{what}.", "", *_table(mine)]
            lines += [line for plot in plots if plot.name.startswith(material) for line in ("", f"![]({plot.name})")]
    lines += ["", "## Costs", "", *_costs(rows, told)]
    if told.agreement is not None:
        lines += [
            "",
            f"`ks` is driftwatch's own; it differs from alibi-detect's KSDrift by at most {told.agreement:.1g}.",
        ]
    lines += ["", f"{told.minutes:.0f} minutes, training included where a reference was trained."]
    path.write_text("\n".join(lines) + "\n")


def _table(rows: Sequence[Row]) -> list[str]:
    contenders = list(dict.fromkeys(row.contender for row in rows))
    lines = ["| shift | n | " + " | ".join(contenders) + " |", "| --- " * (2 + len(contenders)) + "|"]
    cells = {(row.shift, row.window, row.contender): row for row in rows}
    for shift, window in dict.fromkeys((row.shift, row.window) for row in rows):
        found = [cells.get((shift, window, contender)) for contender in contenders]
        lines.append(f"| {shift} | {window} | " + " | ".join(_cell(row) for row in found) + " |")
    return lines


def _cell(row: Row | None) -> str:
    return "" if row is None else f"{100 * row.auroc:.1f} ± {50 * (row.high - row.low):.1f}"


def _costs(rows: Sequence[Row], told: Told) -> list[str]:
    windows = {
        name: max(row.windows for row in rows if row.contender == name) for name in {row.contender for row in rows}
    }
    materials = list(told.milliseconds)
    names = list(dict.fromkeys(name for costs in told.milliseconds.values() for name in costs))
    lines = ["| milliseconds a window | windows a side, at most | " + " | ".join(materials) + " |"]
    lines.append("| --- " * (2 + len(materials)) + "|")
    for name in names:
        taken = [told.milliseconds[material].get(name) for material in materials]
        count = windows.get(name, told.extent.windows)
        cells = " | ".join("" if each is None else f"{each:.2f}" for each in taken)
        lines.append(f"| {name} | {count:,} | {cells} |")
    return lines
