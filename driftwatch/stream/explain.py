"""What moved, in words: the line that an on-call engineer reads first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from driftwatch.stats.decomposition import PARTS
from driftwatch.stats.descriptors import INTENSITY, LATENT_MOMENTS, LAYOUT, MARGINALS, PAIRS, SPECTRUM, VALUES
from driftwatch.stats.hotelling import AGREEMENT, LOCATION
from driftwatch.stats.null import GEOMETRY_PARTS, WindowNull
from driftwatch.stats.summary import Array

MOVED = {
    "location": "shifted on average",
    "scale": "changed in spread",
    "dependence": "changed in how its parts depend on each other",
}
CHANGED = {
    LATENT_MOMENTS: "variation within samples changed",
    LAYOUT: "coarse pictures are unusual ones",
    SPECTRUM: "detail changed at some scale",
    INTENSITY: "the mix of intensities changed",
    VALUES: "values moved on average",
    PAIRS: "values vary together in another way",
    MARGINALS: "the distribution of single values changed",
    LOCATION: "the mean sample moved",
    AGREEMENT: "samples resemble each other more than they should",
}
NOTABLE_DEVIATIONS = 4.0
CALM = "nothing stands out"
UNUSUAL = 0.01
"""A window with such a p-value or less is not calm, though no figure by itself stands out: it may alarm."""


def calm(deviations: Array, p_values: Array) -> list[bool]:
    """Whether `CALM` is all there is to say, for each of several windows.

    Args:
        deviations: of each feature, in standard deviations of the null, ``(M, F)``.
        p_values: of the combined statistic, ``(M,)``.
    """
    found: list[bool] = ((np.abs(deviations).max(axis=1) <= NOTABLE_DEVIATIONS) & (p_values > UNUSUAL)).tolist()
    return found


def explain(
    null: WindowNull,
    parts: Array,
    deviations: Array,
    geometry: dict[str, float],
    blocks: Sequence[str],
    effect: float,
) -> str:
    """Say what moved most in a window that is not `calm`.

    Args:
        null: for the window's size.
        parts: the window's divergence, ``(S, 3)``, nats per sample.
        deviations: of each feature, in standard deviations of the null, ``(F,)``.
        geometry: cosine, location, axes and radius of the latents.
        blocks: names of the blocks.
        effect: of the window, nats per sample.
    """
    excess = parts - null.parts_mean
    standard = deviations[: parts.size].reshape(parts.shape)
    notable = (standard > NOTABLE_DEVIATIONS) & (excess > 0)
    moved = _group_words(null, deviations)
    if not notable.any():
        if moved:
            return f"{moved}; {effect:+.3g} nats/sample in all"
        if np.abs(deviations).max() <= NOTABLE_DEVIATIONS and standard.max() > 0:
            s, part = (int(i) for i in np.unravel_index(np.argmax(standard), standard.shape))
            most = f"{blocks[s]} {MOVED[PARTS[part]]} ({excess[s, part]:+.3g} nats/sample)"
            return f"many small changes together, most of all {most}; {effect:+.3g} nats/sample in all"
        return f"{_geometry_words(deviations[parts.size :], geometry)}; no single block stands out"
    ranked = np.argsort(np.where(notable, excess, -np.inf), axis=None)[::-1][: min(2, int(notable.sum()))]
    phrases = []
    for flat_index in ranked:
        s, part = (int(i) for i in np.unravel_index(flat_index, excess.shape))
        phrases.append(f"{blocks[s]} {MOVED[PARTS[part]]} ({excess[s, part]:+.3g} nats/sample)")
    return "; ".join([*phrases, *([moved] if moved else []), f"{effect:+.3g} nats/sample in all"])


def _geometry_words(deviations: Array, geometry: dict[str, float]) -> str:
    """Which of the geometry, the likelihood and the surprise moved most."""
    match int(np.argmax(np.abs(deviations[: len(GEOMETRY_PARTS) + 2]))):
        case 0:
            return f"samples point the same way in latent space (mean cosine {geometry['cosine']:.3g})"
        case 1:
            return f"the latent mean moved (|mu|²/d {geometry['location']:.3g})"
        case 2:
            return f"samples share axes in latent space (mean squared cosine {geometry['axes']:.3g})"
        case 3:
            where = "outside" if geometry["radius"] > 1 else "inside"
            return f"latents lie {where} the usual shell (|z|²/d {geometry['radius']:.3g})"
        case 4:
            return "the likelihood level moved"
        case _:
            return "single samples are unusual"


def _group_words(null: WindowNull, deviations: Array) -> str:
    """Which group of descriptors moved most; empty if none stands out."""
    names = [name for name, _ in null.layout.groups]
    moved = deviations[len(deviations) - len(names) :]
    most = int(np.argmax(moved))
    return f"{CHANGED[names[most]]} ({names[most]})" if moved[most] > NOTABLE_DEVIATIONS else ""
