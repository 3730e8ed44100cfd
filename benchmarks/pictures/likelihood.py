"""Why likelihood is no alarm, and what is: digits scored by a reference of clothes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from benchmarks.detection.fashion import PROBED, equal_contrast
from benchmarks.detection.pixels import Images, contrast
from benchmarks.pictures.material import USED, Material, windows
from benchmarks.pictures.style import BLUE, GREEN, GREY, ORANGE, RED, plain, save, title
from driftwatch.reference.evaluation import auroc
from driftwatch.stats.geometry import geometry
from driftwatch.stats.summary import Array

WINDOW, GROUP = 5, 20
MANY = 2_000
ROWS, COLUMNS = 4, 3
CONTRASTS = (0.9, 0.93, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.995, 1.0)
SIZES = (1, 5, 10)
SHELL = np.linspace(0.8, 1.25, 60)


def paradox(path: Path, material: Material) -> None:
    """Likelihoods compared with the p-values that raise alarms, for single images and for windows."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    likelihood, single, window = (plain(axes) for axes in figure.subplots(1, 3))
    clothes, digits = material.clothes_scored, material.digits_scored
    bits = material.bits(material.clothes[:USED]), material.bits(material.digits[:USED])
    _histograms(likelihood, np.linspace(0.8, 5.0, 60), *bits)
    likelihood.set(xlabel="bits per dimension (fewer: more likely)", ylabel="images")
    title(likelihood, f"Likelihood prefers the digits: AUROC {100 * auroc(*bits):.0f} %")
    for axes, size, exponent in ((single, 1, 6), (window, WINDOW, 16)):
        what = "single images" if size == 1 else f"windows of {size}"
        null = material.null(size)
        found = [null.test(windows(each, size, MANY)) for each in (clothes, digits)]
        _histograms(axes, np.geomspace(10.0**-exponent, 1, 45), *(each.p_values["combined"] for each in found))
        axes.set(xlabel="p-value", ylabel=what, xscale="log", xlim=(2, 10.0**-exponent / 2))
        marks = range(0, exponent + 1, exponent // 2)
        axes.set_xticks([10.0**-mark for mark in marks], [f"1e-{mark}" if mark else "1" for mark in marks])
        axes.minorticks_off()
        rate = 100 * auroc(*(each.statistics["combined"] for each in found))
        title(axes, f"driftwatch, {what}: AUROC {rate:.1f} %")
    single.legend(frameon=False, fontsize=9)
    save(figure, path)


def shell(path: Path, material: Material) -> None:
    """Latents of digits lie about as far out as those of clothes, but in fewer directions; with samples of the flow."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.9, 1.25), squeeze=False)[0]
    radius, cosine = (plain(axes) for axes in left.subplots(1, 2))
    layout = material.reference.layout
    drawn, images = _drawn(material)
    kinds = (material.clothes_scored, material.digits_scored)
    radii = [np.sqrt(each[:, 1] / layout.dim) for each in kinds]
    _histograms(radius, SHELL, *radii)
    radius.hist(drawn, SHELL.tolist(), histtype="step", color=GREEN, label="drawn from the flow")
    radius.set(xlabel="distance from the centre, |z| / √d", ylabel="images")
    radius.set_ylim(0, 1.45 * radius.get_ylim()[1])
    title(radius, "Digits lie on the usual shell, or nearly so,")
    cosines = [geometry(windows(each, GROUP, MANY), layout).cosine for each in kinds]
    _histograms(cosine, np.linspace(-0.01, 0.06, 60), *cosines)
    cosine.set(xlabel=f"mean cosine between latents of {GROUP} images", ylabel=f"windows of {GROUP}")
    title(cosine, "but all of them in much the same direction")
    radius.legend(frameon=False, fontsize=9, loc="upper left")
    _tiles(right, {"drawn from the flow": images, "digits": material.digits[: ROWS * COLUMNS]})
    save(figure, path)


def contrasts(path: Path, material: Material) -> None:
    """AUROC against the contrast of the digits, around the contrast at which they are as likely as clothes."""

    def likelihood(images: Images) -> float:
        return float(material.bits(images).mean())

    equal = equal_contrast(material.digits[:PROBED], likelihood(material.clothes[:USED]), likelihood)
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    factors = sorted({*CONTRASTS, equal})
    scored = {factor: material.score(contrast(material.digits[: USED // 2], factor)) for factor in factors}
    panels = figure.subplots(1, len(SIZES), sharey=True)
    for axes, size in zip(panels, SIZES, strict=True):
        null = material.null(size)
        plain_windows = null.test(windows(material.clothes_scored, size, MANY))
        for name, colour in (("typicality", ORANGE), ("combined", BLUE)):
            values = [
                100 * auroc(plain_windows.statistics[name], null.test(windows(each, size, MANY)).statistics[name])
                for each in scored.values()
            ]
            label = "driftwatch" if name == "combined" else "typicality of the likelihood"
            plain(axes).plot(factors, values, color=colour, marker="o", markersize=4, label=label)
        axes.axvline(equal, color=RED, linestyle=":", label=f"as likely as clothes ({equal:.3f})")
        axes.axhline(50, color=GREY, linewidth=0.8)
        axes.annotate("chance", (min(factors), 51), fontsize=8, color=GREY)
        axes.set(xlabel="contrast of the digits", ylim=(20, 103))
        title(axes, "single images" if size == 1 else f"windows of {size}")
    panels[0].set_ylabel("AUROC, %")
    panels[-1].legend(frameon=False, fontsize=8, loc="center left")
    save(figure, path)


def _histograms(axes: Axes, bins: NDArray[np.float64], clothes: Array, digits: Array) -> None:
    for values, colour, label in ((clothes, BLUE, "clothes (the reference)"), (digits, ORANGE, "digits")):
        axes.hist(np.clip(values, bins[0], bins[-1]), bins.tolist(), color=colour, alpha=0.55, label=label)


@torch.inference_mode()
def _drawn(material: Material) -> tuple[Array, Images]:
    """Distances ``|z| / √d`` of draws from the prior, ``(MANY,)``, and the images that the flow generates from some."""
    flow, rng = material.reference.flow, np.random.default_rng(3)
    z = rng.standard_normal((MANY, flow.dim))
    latents, first = [], 0
    for block in flow.blocks:
        last = first + block.vectors * block.dim
        some = z[: ROWS * COLUMNS, first:last].reshape(-1, block.vectors, block.dim)
        latents.append(torch.from_numpy(some.astype(np.float32)))
        first = last
    prepared = flow.inverse(tuple(latents)).numpy()[:, 0]
    height, width = material.clothes.shape[1:]
    top, left = ((whole - part) // 2 for whole, part in zip(prepared.shape[1:], (height, width), strict=True))
    cropped = prepared[:, top : top + height, left : left + width]
    return np.linalg.norm(z, axis=1) / np.sqrt(flow.dim), np.clip(cropped, 0, 255).astype(np.uint8)


def _tiles(figure: SubFigure, kinds: Mapping[str, Images]) -> None:
    """Draw a block of images of each kind, side by side."""
    for axes, (name, images) in zip(figure.subplots(1, len(kinds)), kinds.items(), strict=True):
        rows = [np.concatenate(list(images[start : start + COLUMNS]), axis=1) for start in _starts()]
        axes.imshow(np.concatenate(rows), cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()
        axes.set_title(name, fontsize=10)


def _starts() -> range:
    return range(0, ROWS * COLUMNS, COLUMNS)
