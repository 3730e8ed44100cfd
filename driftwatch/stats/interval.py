"""The interval of an effect: by how much it would be another, had other samples come.

Source: Tukey's jackknife, over panes: samples that arrive together may resemble each other, and panes less so. Its
variance is one of as many values as there are panes, hence Student's quantile.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from driftwatch.stats.null import WindowNull
from driftwatch.stats.summary import Array, merge

Z_95 = 1.959964


def effect_interval(null: WindowNull, panes: Array, known: float) -> tuple[float, float, float]:
    """The effect of a window and its 95 % interval, in nats per sample: ``(effect, low, high)``.

    Of a drifted window the jackknife says how much the effect varies with its samples. It would vary as much with the
    reference's, were there as many: the error of the reference counts as `known` samples' and not as the window's.
    Close to the reference a jackknife says too little, and of two panes nothing: the interval is never narrower than by
    chance under the reference.

    Args:
        null: of the window's size.
        panes: summaries that make up the window, ``(K, V)``.
        known: held-out samples that distances are measured from.
    """
    total = merge(panes)
    effect = float(null.test(total[None]).effect[0])
    half = Z_95 * null.effect_size.deviation
    if (count := len(panes)) > 2:
        left_out = null.test(total - panes).effect
        variance = (count - 1) / count * float(np.square(left_out - left_out.mean()).sum())
        half = max(half, float(stdtrit(count - 1, 0.975)) * (variance * (1.0 + float(total[0]) / known)) ** 0.5)
    return effect, float(effect - half), float(effect + half)
