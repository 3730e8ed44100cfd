"""The report: Markdown for people, JSON for programs."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from benchmarks.detection.run import BUDGET, Extent, Row

ABSENT = "not installed: `make bench-detection` sets up an environment that has it"


@dataclass(frozen=True)
class About:
    """The facts that a report states about a material besides its figures.

    Args:
        command: the command that reproduces the report.
        material: name of the material.
        what: one sentence that describes the reference.
        bundle: version of the reference.
        extent: how much was measured.
        packages: versions of the peers' packages; empty for those that are not installed.
        milliseconds: cost per window, by contender.
        agreement: the largest difference between our KS distances and alibi-detect's, if compared.
        minutes: duration, without training.
    """

    command: str
    material: str
    what: str
    bundle: str
    extent: Extent
    packages: Mapping[str, str]
    milliseconds: Mapping[str, float]
    agreement: float | None
    minutes: float


def write_report(folder: Path, rows: Sequence[Row], about: About, plots: Sequence[Path]) -> None:
    """Write ``<material>.json``, with all intervals, and ``<material>.md``, with the plots."""
    data = {"about": asdict(about) | {"python": platform.python_version()}, "rows": [asdict(row) for row in rows]}
    path = folder / f"{about.material}.json"
    path.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")
    path.with_suffix(".md").write_text("\n".join(_markdown(rows, about, plots)) + "\n")


def _markdown(rows: Sequence[Row], about: About, plots: Sequence[Path]) -> list[str]:
    extent = about.extent
    lines = [
        f"# Detection compared with peers: {about.material}",
        "",
        f"    {about.command}",
        "",
        f"The reference is {about.what}; bundle {about.bundle}.",
        "",
        "AUROC in %: how often a shifted window scores higher than a window of the reference, ± half the 95 %",
        f"bootstrap interval. {extent.windows:,} windows a side, the same for all contenders; slow contenders get only",
        "the first of them (see the last table). `combined` is the statistic that raises alerts; `kl` to `nll` are its",
        "parts;",
        "`typicality` and `nll` are plain likelihood under the same flow. Peers are fitted to",
        f"{extent.known:,} samples of the flow's training data. `detected` is the share of shifted windows, in %, in",
        f"which `combined` alarms if adjacent windows may raise one false alarm in {BUDGET:,.0f} samples.",
        f"Seed {extent.seed}.",
        "",
        *(f"- {name} {version or ABSENT}" for name, version in about.packages.items()),
        "",
        "alibi-detect is licensed under BSL 1.1; it is measured here and is not part of driftwatch.",
        "",
        *_table(rows),
        *(line for plot in plots for line in ("", f"![]({plot.name})")),
        "",
        *_costs(rows, about),
    ]
    if about.agreement is not None:
        lines += ["", f"`ks` is driftwatch's own; it is within {about.agreement:.1g} of alibi-detect's KSDrift."]
    return [*lines, "", f"{about.minutes:.0f} minutes."]


def _table(rows: Sequence[Row]) -> list[str]:
    contenders = list(dict.fromkeys(row.contender for row in rows))
    lines = ["| shift | n | " + " | ".join(contenders) + " | detected |", "| --- " * (3 + len(contenders)) + "|"]
    cells = {(row.shift, row.window, row.contender): row for row in rows}
    for shift, window in dict.fromkeys((row.shift, row.window) for row in rows):
        found = [cells.get((shift, window, contender)) for contender in contenders]
        detected = cells[shift, window, "combined"].detected or 0.0
        lines.append(f"| {shift} | {window} | " + " | ".join(map(_cell, found)) + f" | {100 * detected:.0f} |")
    return lines


def _cell(row: Row | None) -> str:
    return "" if row is None else f"{100 * row.auroc:.1f} ± {50 * (row.high - row.low):.1f}"


def _costs(rows: Sequence[Row], about: About) -> list[str]:
    lines = ["| cost | milliseconds per window | windows per side |", "| --- | --- | --- |"]
    for name, taken in about.milliseconds.items():
        count = max((row.windows for row in rows if row.contender == name), default=None)
        lines.append(f"| {name} | {taken:.2f} | {'' if count is None else f'{count:,}'} |")
    return lines
