"""The picture that goes into a bundle: how training went, and what the reference will and will not catch."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from driftwatch.reference.assessment import REFERENCE, Assessment
from driftwatch.reference.evaluation import Evaluation
from driftwatch.stats.summary import Array

BLUE, GREY = "#2563eb", "#6b7280"
BINS = 50
SHOWN_QUANTILE = 0.99


def report_png(name: str, curve: Sequence[tuple[int, float, float]], assessment: Assessment) -> bytes:
    """A PNG of the training curve, the scores of reference and shifted data, and AUROC by shift and window.

    Args:
        name: of the reference.
        curve: ``(step, training, validation)``, bits per dimension.
        assessment: of the built-in shifts.
    """
    figure = Figure(figsize=(14, 4.4), layout="constrained")
    # A name is a user's own: no character of it starts a formula.
    figure.suptitle(f"Reference {name}", fontweight="bold", parse_math=False)
    left, middle, right = figure.subplots(1, 3)
    _curve(left, curve)
    _scores(middle, assessment.scores)
    _auroc(right, assessment.combined)
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
