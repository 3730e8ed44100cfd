"""The picture in a bundle: how training went, and which shifts the reference will and will not detect."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from driftwatch.reference.assessment import REFERENCE, Assessment
from driftwatch.reference.detectable import POWER, Detectable
from driftwatch.reference.evaluation import Evaluation
from driftwatch.stats.summary import Array

BLUE, GREY = "#2563eb", "#6b7280"
BINS = 50
SHOWN_QUANTILE = 0.99


def report_png(
    name: str, curve: Sequence[tuple[int, float, float]], assessment: Assessment, smallest: Sequence[Detectable]
) -> bytes:
    """A PNG of training, scores of reference and shifted data, AUROC by shift and window, and what is detected.

    Args:
        name: of the reference.
        curve: ``(step, training, validation)``, bits per dimension.
        assessment: of the built-in shifts.
        smallest: smallest detectable shifts; empty if there were too few samples to find them.
    """
    figure = Figure(figsize=(14, 8.8 if smallest else 4.4), layout="constrained")
    # The name is user input, so it must not be parsed as a formula.
    figure.suptitle(f"Reference {name}", fontweight="bold", parse_math=False)
    top, *below = figure.subfigures(2 if smallest else 1, 1, squeeze=False)[:, 0]
    left, middle, right = top.subplots(1, 3)
    _curve(left, curve)
    _scores(middle, assessment.scores)
    _auroc(right, assessment.combined)
    if smallest:
        _smallest(below[0].subplots(1, 1), smallest)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": "driftwatch"})
    return buffer.getvalue()


def _curve(axes: Axes, curve: Sequence[tuple[int, float, float]]) -> None:
    steps = [step for step, _, _ in curve]
    axes.plot(steps, [bits for _, bits, _ in curve], color=GREY, label="training (smoothed)")
    axes.plot(steps, [bits for _, _, bits in curve], color=BLUE, marker=".", label="validation (averaged weights)")
    axes.set(title="Training", xlabel="step", ylabel="bits per dimension")
    axes.legend(frameon=False)


def _scores(axes: Axes, scores: Mapping[str, Array]) -> None:
    top = max(float(np.quantile(values, SHOWN_QUANTILE)) for values in scores.values())
    low = max(1e-3, min(float(values.min()) for values in scores.values()))
    bins = np.geomspace(low, max(top, 2 * low), BINS).tolist()
    axes.hist(scores[REFERENCE].clip(low, bins[-1]), bins=bins, color=BLUE, alpha=0.35, label=REFERENCE)
    shifts = [shift for shift in scores if shift != REFERENCE]
    colours = mpl.colormaps["tab10"](range(len(shifts)))
    for shift, colour in zip(shifts, colours, strict=True):
        axes.hist(scores[shift].clip(low, bins[-1]), bins=bins, histtype="step", color=colour, label=shift)
    axes.set(title="Scores of single samples", xlabel="divergence (nats)", ylabel="samples", xscale="log")
    axes.legend(frameon=False, fontsize=8)


def _auroc(axes: Axes, evaluations: Sequence[Evaluation]) -> None:
    shifts = list(dict.fromkeys(row.shift for row in evaluations))
    windows = sorted({row.window for row in evaluations})
    found = {(row.shift, row.window): row.auroc for row in evaluations}
    values = np.array([[100 * found[shift, window] for window in windows] for shift in shifts])
    axes.imshow(values, vmin=50, vmax=100, cmap="Blues", aspect="auto")
    axes.set_xticks(range(len(windows)), [str(window) for window in windows])
    axes.set_yticks(range(len(shifts)), shifts)
    axes.set(title="AUROC of built-in shifts (%)", xlabel="samples in a window")
    for (i, j), value in np.ndenumerate(values):
        axes.text(j, i, f"{value:.1f}", ha="center", va="center", color="white" if value > 80 else "black")


def _smallest(axes: Axes, smallest: Sequence[Detectable]) -> None:
    """Plot each shift on its own scale, from the smallest size tried to the largest."""
    windows = sorted({row.window for row in smallest})
    shifts = list(dict.fromkeys(row.shift for row in smallest))
    for row in smallest:
        size = row.largest if row.size is None else row.size
        x = math.log(size / row.smallest) / math.log(row.largest / row.smallest)
        y = shifts.index(row.shift)
        colour = mpl.colormaps["Blues"](0.9 if row.window == windows[-1] else 0.65)
        axes.plot([x, 1.0], [y, y], color=colour, alpha=0.3, linewidth=8, solid_capstyle="butt")
        axes.plot([x], [y], color=colour, marker="o" if row.size is not None else "x", markersize=9, linestyle="none")
        above = row.window == windows[0]
        axes.annotate(
            f"n={row.window}: {row}",
            (x, y),
            xytext=(0, 9 if above else -17),
            textcoords="offset points",
            ha="center",
            color=colour,
        )
    units = {row.shift: row.unit for row in smallest}
    axes.set_yticks(range(len(shifts)), [f"{shift}\n{units[shift]}" for shift in shifts])
    axes.set_ylim(len(shifts) - 0.4, -0.6)
    axes.set_xlim(-0.05, 1.05)
    axes.set_xticks([0.0, 1.0], ["smallest tried", "largest tried"])
    allowed = f"when one false alarm in {smallest[0].budget:,.0f} samples is allowed"
    axes.set(title=f"Smallest shifts that are detected: {POWER:.0%} of windows alarm {allowed}")
