"""How an alert explains three different drifts: parts of the divergence by block, and groups of descriptors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.detection.pixels import Images, blurred, gained
from benchmarks.pictures.material import Material
from benchmarks.pictures.style import BLUE, GREY, plain, save, title
from driftwatch.stats.decomposition import PARTS
from driftwatch.stats.null import WindowNull
from driftwatch.stats.summary import Array

WINDOW = 500
DRIFTS: Mapping[str, Callable[[Images], Images]] = {
    "out of focus (blur of 0.7 pixels)": lambda images: blurred(images, 0.7),
    "darker (gain 0.9)": lambda images: gained(images, 0.9),
    "upside down": lambda images: images[:, ::-1].copy(),
}
STANDS_OUT = 4.0


def parts(path: Path, material: Material) -> None:
    """A column per drift: the excess nats of each part of each block, and the deviation of each group."""
    null = material.null(WINDOW)
    figure = Figure(figsize=(11, 5.0), layout="constrained")
    panels = figure.subplots(2, len(DRIFTS), sharey="row", height_ratios=(1, 1.25))
    for (top, bottom), (name, drift) in zip(panels.T, DRIFTS.items(), strict=True):
        summary = material.score(drift(material.clothes[:WINDOW])).sum(0, dtype=np.float64)
        tested = null.test(summary[None])
        excess = tested.features.decomposition.parts[0] - null.parts_mean
        _blocks(top, excess, material.reference.block_names)
        title(top, name)
        _groups(bottom, null, tested.deviations[0])
    figure.align_ylabels()
    save(figure, path)


def _blocks(axes: Axes, excess: Array, blocks: tuple[str, ...]) -> None:
    axes.imshow(excess, cmap="Blues", aspect="auto", vmin=0, vmax=max(1e-6, float(excess.max()) * 1.4))
    for (i, j), nats in np.ndenumerate(excess):
        axes.text(j, i, f"{nats:+.2f}", ha="center", va="center", fontsize=9)
    axes.set_xticks(range(len(PARTS)), PARTS)
    axes.set_yticks(range(len(blocks)), [block.split(" (")[0] for block in blocks])


def _groups(axes: Axes, null: WindowNull, deviations: Array) -> None:
    names = [name for name, _ in null.layout.groups]
    off = np.maximum(deviations[-len(names) :], 0.1)
    bars = plain(axes).barh(names, off, color=[BLUE if value > STANDS_OUT else GREY for value in off])
    axes.bar_label(bars, [f"{value:.0f}" for value in off], fontsize=8, padding=3)
    axes.set(xlabel="null standard deviations", xscale="symlog", xlim=(0, 3e3))
    axes.invert_yaxis()
