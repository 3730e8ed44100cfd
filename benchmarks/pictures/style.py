"""The pictures' style: the colours of bundle reports and of the demo, and small files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from driftwatch.demo.plot import BLUE, GREEN, GREY, ORANGE, RED

__all__ = ["BLUE", "GREEN", "GREY", "ORANGE", "RED", "plain", "save", "title"]

DPI = 100


def plain(axes: Axes) -> Axes:
    """Remove the upper and right spines."""
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def title(axes: Axes, text: str) -> None:
    """Set the title of a panel."""
    axes.set_title(text, loc="left", fontsize=10)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG file."""
    figure.savefig(path, dpi=DPI, metadata={"Software": "driftwatch"})
