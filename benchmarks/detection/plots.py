"""The report's plots: a heat map per material, and AUROC against the contrast of foreign images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.detection.run import Row

DPI = 90
CONTRAST = re.compile(r"contrast ([0-9.]+)")
FOLLOWED = ("combined", "typicality", "nll", "mmd (alibi)", "mmd", "ks")


def draw_plots(folder: Path, rows: Sequence[Row]) -> list[Path]:
    """Write PNG files and return their paths."""
    written = []
    for material in dict.fromkeys(row.material for row in rows):
        mine = [row for row in rows if row.material == material]
        written.append(_heat(folder / f"{material}.png", mine))
        if any(CONTRAST.search(row.shift) for row in mine):
            written.append(_contrast(folder / f"{material}-contrast.png", mine))
    return written


def _heat(path: Path, rows: Sequence[Row]) -> Path:
    """A heat map of shifts (rows) by contenders (columns), with a panel per window size."""
    sizes = sorted({row.window for row in rows})
    shifts = list(dict.fromkeys(row.shift for row in rows))
    contenders = list(dict.fromkeys(row.contender for row in rows))
    cells = {(row.window, row.shift, row.contender): row.auroc for row in rows}
    figure = Figure(figsize=(2.5 + 3.4 * len(sizes), 1.6 + 0.24 * len(shifts)), layout="constrained")
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)
    for panel, size in zip(panels[0], sizes, strict=True):
        values = [[100 * cells.get((size, shift, name), np.nan) for name in contenders] for shift in shifts]
        panel.imshow(values, vmin=0, vmax=100, cmap="RdYlGn", aspect="auto")
        for (i, j), value in np.ndenumerate(np.array(values)):
            if np.isfinite(value):
                panel.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=6)
        panel.set_title(f"windows of {size}", fontsize=9)
        panel.set_xticks(range(len(contenders)), contenders, rotation=60, ha="right", fontsize=7)
        panel.set_yticks(range(len(shifts)), shifts, fontsize=7)
    return _save(figure, path)


def _contrast(path: Path, rows: Sequence[Row]) -> Path:
    """AUROC against contrast, the manipulation that defeats the typicality test."""
    sizes = [size for size in (5, 10) if any(row.window == size for row in rows)]
    figure = Figure(figsize=(4.2 * len(sizes), 3.2), layout="constrained")
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)
    for panel, size in zip(panels[0], sizes, strict=True):
        for name in FOLLOWED:
            followed = [row for row in rows if (row.window, row.contender) == (size, name)]
            points = {at: row for row in followed if (at := _contrast_of(row.shift)) is not None}
            if points:
                factors = sorted(points)
                panel.plot(factors, [100 * points[x].auroc for x in factors], marker=".", label=name)
                bounds = [[100 * getattr(points[x], bound) for x in factors] for bound in ("low", "high")]
                panel.fill_between(factors, *bounds, alpha=0.2)
        equal = [row.shift for row in rows if "equal likelihood" in row.shift]
        if equal:
            panel.axvline(_contrast_of(equal[0]), color="0.7", linestyle=":", label="equal mean likelihood")
        panel.set_title(f"windows of {size}", fontsize=9)
        panel.set_xlabel("contrast of the foreign images")
    panels[0][0].set_ylabel("AUROC, %")
    panels[0][0].legend(fontsize=7)
    return _save(figure, path)


def _contrast_of(shift: str) -> float | None:
    """The contrast of a shift of foreign images; unchanged images have contrast 1."""
    found = CONTRAST.search(shift)
    return float(found.group(1)) if found else 1.0 if shift == "digits" else None


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=DPI, metadata={"Software": "driftwatch"})
    return path
