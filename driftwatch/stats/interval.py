"""The confidence interval of an effect: how much it would vary with other samples.

Source: Tukey's jackknife, over panes: samples that arrive together may resemble each other, panes less so. The variance
is estimated from as many values as there are panes, hence Student's quantile.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from driftwatch.stats.null import WindowNull
from driftwatch.stats.summary import Array, merge

Z_95 = 1.959964


def effect_interval(null: WindowNull, panes: Array, known: float) -> tuple[float, float, float]:
    """The effect of a window and its 95 % interval, in nats per sample: ``(effect, low, high)``.

    For a drifted window, the jackknife measures how much the effect varies with the window's samples. It would vary as
    much with the reference's if those were as many, so their part of the variance is scaled to `known` samples. Close
    to the reference, the jackknife underestimates, and with two panes it is undefined, so the interval is never
    narrower than chance makes it under the reference.

    Args:
        null: of the window's size.
        panes: summaries that make up the window, ``(K, V)``.
        known: held-out samples that set the origin of distances.
    """
    total = merge(panes)
    effect = float(null.test(total[None]).effect[0])
    half = Z_95 * null.effect_size.deviation
    if (count := len(panes)) > 2:
        left_out = null.test(total - panes).effect
        variance = (count - 1) / count * float(np.square(left_out - left_out.mean()).sum())
        half = max(half, float(stdtrit(count - 1, 0.975)) * (variance * (1.0 + float(total[0]) / known)) ** 0.5)
    return effect, float(effect - half), float(effect + half)
