"""A drifting stream as seen by windows of two sizes, and the cost of a budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.detection.pixels import gained
from benchmarks.pictures.material import SIZES, STEP, USED, Material, windows
from benchmarks.pictures.style import BLUE, GREY, ORANGE, RED, plain, save, title
from benchmarks.sliding import sliding_sums
from driftwatch.stats.interval import effect_interval

LENGTH = 6_000
WEAK, STRONG = (1_500, 3_000), (4_500, 5_000)
WEAK_GAIN, STRONG_GAIN = 0.975, 0.85
BUDGET, BUDGETS = 1e6, (1e4, 1e6)
FLOOR = 1e-24
COLOURS = dict(zip(SIZES, (ORANGE, BLUE), strict=True))
SHARES = np.linspace(0.0, 0.7, 15)
DRAWN = 400


def stream(path: Path, material: Material) -> None:
    """P-values and effects while the light dims slightly, recovers, and dims strongly."""
    images = material.clothes[-LENGTH:].copy()
    for (first, last), gain in ((WEAK, WEAK_GAIN), (STRONG, STRONG_GAIN)):
        images[first:last] = gained(images[first:last], gain)
    summaries = material.score(images)
    panes = summaries.reshape(-1, STEP, summaries.shape[1]).sum(1, dtype=np.float64)
    procedure = material.procedure(BUDGET)
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    top, bottom = (plain(axes) for axes in figure.subplots(2, 1, sharex=True))
    for size, colour in COLOURS.items():
        width, null = size // STEP, procedure.nulls[size]
        ends = np.arange(width, len(panes) + 1)
        p_values = null.test(sliding_sums(panes, width)).p_values["combined"]
        top.semilogy(ends * STEP, np.maximum(p_values, FLOOR), color=colour, label=f"windows of {size}")
        known = float(material.reference.others[0])
        found = np.array([effect_interval(null, panes[end - width : end], known) for end in ends])
        bottom.plot(ends * STEP, found[:, 0], color=colour, linewidth=1.5 if size == max(SIZES) else 0.8)
        if size == max(SIZES):
            bottom.fill_between(ends * STEP, found[:, 1], found[:, 2], color=colour, alpha=0.25, linewidth=0)
    top.axhline(procedure.control.threshold, color=RED, linestyle=":", label="alarm: one false in 1e6 samples")
    top.set(ylabel="p-value", ylim=(FLOOR / 3, 3))
    title(top, "Is it drift? Small windows are quick, large windows see weaker drifts")
    bottom.axhline(0, color=GREY, linewidth=0.8)
    bottom.set(ylabel="effect, nats per sample", xlabel="sample", xlim=(0, LENGTH))
    title(bottom, f"How much? The effect, in windows of {max(SIZES)} with its 95 % interval")
    _shade(top, labelled=True)
    _shade(bottom, labelled=False)
    top.legend(frameon=False, fontsize=9, loc="lower left")
    save(figure, path)


def budgets(path: Path, material: Material) -> None:
    """The share of windows that alarm, by their share of images upside down, at two budgets."""
    images = material.clothes[-USED:]
    upright, turned = material.score(images), material.score(images[:, ::-1, ::-1])
    places = np.random.default_rng(5).permutation(len(images))[:, None]
    mixed = [np.where(places < share * len(images), turned, upright) for share in SHARES]
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = plain(figure.subplots())
    for budget, style in zip(BUDGETS, ("--", "-"), strict=True):
        procedure = material.procedure(budget)
        threshold = procedure.control.threshold
        for size, colour in COLOURS.items():
            tested = [procedure.nulls[size].test(windows(each, size, DRAWN)) for each in mixed]
            powers = [100 * (each.p_values["combined"] <= threshold).mean() for each in tested]
            label = f"windows of {size}, one false in {budget:,.0f}"
            axes.plot(100 * SHARES, powers, style, color=colour, marker=".", label=label)
    axes.set(xlabel="images that are upside down, %", ylabel="windows that alarm, %")
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    save(figure, path)


def _shade(axes: Axes, *, labelled: bool) -> None:
    for (first, last), gain in ((WEAK, WEAK_GAIN), (STRONG, STRONG_GAIN)):
        axes.axvspan(first, last, color=GREY, alpha=0.12, linewidth=0)
        if labelled:
            place = (first + last) / 2, 0.03
            words = f"{100 * (1 - gain):g} % darker"
            axes.annotate(words, place, xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=9)
