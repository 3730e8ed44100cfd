"""How the pictures look: the colours of a bundle's report and of the demo, and small files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from driftwatch.demo.plot import BLUE, GREEN, GREY, ORANGE, RED

__all__ = ["BLUE", "GREEN", "GREY", "ORANGE", "RED", "plain", "save", "title"]

DPI = 100


def plain(axes: Axes) -> Axes:
    """Without a box around it."""
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def title(axes: Axes, text: str) -> None:
    """Says what a panel shows."""
    axes.set_title(text, loc="left", fontsize=10)


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG."""
    figure.savefig(path, dpi=DPI, metadata={"Software": "driftwatch"})
