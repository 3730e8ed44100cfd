"""The demo's picture: scores, p-values and likelihood over the stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from driftwatch.demo.record import Chronicle

BLUE, ORANGE, RED, GREEN, GREY = "#2563eb", "#f59e0b", "#dc2626", "#16a34a", "#6b7280"
SMOOTHED = 50


def write_plot(path: Path, chronicle: Chronicle, drift: tuple[int, int]) -> None:
    """Write the picture as a PNG.

    Args:
        path: of the file.
        chronicle: what happened.
        drift: first sample with drift, and first one after it.
    """
    figure = Figure(figsize=(12, 8), layout="constrained")
    figure.suptitle("A lens goes out of focus", fontweight="bold")
    top, middle, bottom = figure.subplots(3, 1, sharex=True)
    scores = np.array(chronicle.scores)
    top.plot(scores, ",", color=GREY, alpha=0.6)
    mean = np.convolve(scores, np.full(SMOOTHED, 1 / SMOOTHED), mode="valid")
    top.plot(np.arange(len(mean)) + SMOOTHED - 1, mean, color=BLUE, label=f"mean of {SMOOTHED}")
    top.set(ylabel="point score (nats)", ylim=(0, float(np.quantile(scores, 0.999)) * 1.1))
    top.set_title("Scores of single samples: hardly anything to see", loc="left", fontsize=10)

    for (size, tested), colour in zip(sorted(chronicle.windows.items()), (BLUE, ORANGE), strict=False):
        middle.semilogy(
            [each.sample for each in tested],
            [max(each.p_value, 1e-30) for each in tested],
            color=colour,
            linewidth=1,
            label=f"windows of {size}",
        )
    middle.axhline(chronicle.threshold, color=RED, linestyle=":", label="alarm (1 false alarm in 1e6 samples)")
    middle.set(ylabel="p-value", ylim=(1e-31, 3))
    middle.set_title("What driftwatch tests: sliding windows", loc="left", fontsize=10)

    for (size, tested), colour in zip(sorted(chronicle.windows.items()), (BLUE, ORANGE), strict=False):
        likelihood = [-each.nll for each in tested]
        bottom.plot([each.sample for each in tested], likelihood, color=colour, linewidth=1, label=f"windows of {size}")
    bottom.set(ylabel="mean log-likelihood (nats)", xlabel="sample")
    bottom.set_title("What a likelihood monitor sees: the blurred images look more likely", loc="left", fontsize=10)

    for axes in (top, middle, bottom):
        _mark(axes, chronicle, drift)
        axes.legend(loc="lower left", fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)


def _mark(axes: Axes, chronicle: Chronicle, drift: tuple[int, int]) -> None:
    axes.axvspan(*drift, color=GREY, alpha=0.12, label="out of focus")
    for alert, sample in chronicle.alerts:
        axes.axvline(sample, color=RED if alert.state == "firing" else GREEN, linewidth=1)
    axes.spines[["top", "right"]].set_visible(False)
