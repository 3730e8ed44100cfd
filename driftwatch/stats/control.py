"""From null sequences of p-values to the threshold that keeps a false-alarm budget, and how well that is known.

What the threshold rests on is off in three ways, which add up on a logarithmic scale: the alarms that were counted are
few; beyond them their depths are extrapolated; and the held-out samples, from which all of it is drawn, are few
themselves. The last is told by how much the halves of them differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from driftwatch.stats.summary import Array

MIN_EPISODES = 40
DECAY_EPISODES = 400

SPREAD_EPISODES = 50
"""Alarms of each stream, about, by which the halves of a bank are compared."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Control:
    """The threshold that keeps a false-alarm budget.

    Args:
        threshold: an alarm starts when the smallest p-value of a step is at most this.
        budget: expected samples between false alarms, as asked.
        simulated: samples in the simulated null streams.
        observed: samples between false alarms at this threshold in those streams; infinite if there were none.
        extrapolated: how many times the budget exceeds what the streams could resolve; 1 when it did not.
        interval: of the samples between false alarms, low and high, which hold the true figure in 95 of 100 bundles.
            Of one stream, from a whole bank, it knows nothing of what the bank adds.
    """

    threshold: float
    budget: float
    simulated: int
    observed: float
    extrapolated: float
    interval: tuple[float, float]


def episodes(p_values: Array, threshold: float, resolve_after: int) -> int:
    """How many alarms a sequence of p-values raises, with the hysteresis of the policy.

    >>> episodes(np.array([1, 0.001, 1, 0.001, 1, 1, 0.001]), threshold=0.01, resolve_after=2)
    2
    """
    hits = np.flatnonzero(p_values <= threshold)
    if len(hits) == 0:
        return 0
    return 1 + int((np.diff(hits) > resolve_after).sum())


def control_for(p_values: Array, step: int, budget: float, resolve_after: int) -> Control:
    """The threshold at which null sequences of p-values, one a step, alarm once per `budget` samples on average.

    Within their resolution (at least `MIN_EPISODES` alarms) the threshold is read off by bisection. Beyond it the
    alarms' depths ``-ln p`` are extrapolated exponentially, which is how p-values fall if they are right; how fast
    they fall is learnt from more alarms, of a higher threshold, since it decides over orders of magnitude.

    Args:
        p_values: the smallest of each step, ``(J, S)``, each row from another half of the bank; or from all of it, one.
        step: samples in a step.
        budget: expected samples between false alarms.
        resolve_after: quiet steps that end an alarm.
    """
    every = p_values.ravel()
    simulated = every.size * step
    resolvable = simulated / MIN_EPISODES
    threshold = _bisect(every, min(budget, resolvable) / step, resolve_after)
    variance = min(budget, resolvable) / simulated
    if budget > resolvable:
        depth = -math.log(threshold)
        often = _bisect(every, simulated / DECAY_EPISODES / step, resolve_after)
        beyond = _cluster_depths(every, often, resolve_after) + math.log(often)
        decay = float(np.clip(beyond.mean(), 0.5, 3.0))
        threshold = math.exp(-(depth + decay * math.log(budget / resolvable)))
        slope_error = float(beyond.std()) / decay / math.sqrt(len(beyond))
        # The alarms that set the depth are among those that set the slope: both err to the same side.
        beyond_seen = math.log(budget / resolvable)
        variance += slope_error**2 * beyond_seen * (beyond_seen + 2 * math.log(DECAY_EPISODES / MIN_EPISODES))
    alarms = episodes(every, threshold, resolve_after)
    bank_error = _bank_error(p_values, threshold, resolve_after)
    streams = len(p_values)
    # The threshold is set by a finite number of halves, which adds a little.
    deviation = math.sqrt(variance + bank_error**2 * (1 + 1 / streams))
    beyond_interval = (1 - CONFIDENCE) / 2
    quantile = -float(stdtrit(streams - 1, beyond_interval) if streams > 1 else ndtri(beyond_interval))
    factor = math.exp(quantile * deviation)
    return Control(
        threshold=threshold,
        budget=budget,
        simulated=simulated,
        observed=simulated / alarms if alarms else math.inf,
        extrapolated=max(1.0, budget / resolvable),
        interval=(budget / factor, budget * factor),
    )


def _bank_error(p_values: Array, threshold: float, resolve_after: int) -> float:
    """The standard deviation of the logarithm of the alarm rate at `threshold` from one bank to another.

    Half a bank differs from the whole by what the whole differs from the truth by: ``1/(B/2) - 1/B = 1/B``. Rare
    alarms differ too little beside their own chance, so more frequent ones are compared, and their error grows with
    the depth, as where the scale of a tail is what is wrong. What chance adds to their counts is not taken off: that
    would leave nothing in many a bundle, and windows of 10 and 100 err by more than in proportion to the depth
    (`benchmarks.generated_alarms`).
    """
    if len(p_values) < 2:
        return 0.0
    level = max(threshold, _bisect(p_values.ravel(), p_values.shape[1] / SPREAD_EPISODES, resolve_after))
    alarms = np.array([episodes(row, level, resolve_after) for row in p_values], dtype=np.float64)
    varying = float(alarms.var(ddof=1)) / max(float(alarms.mean()), 1.0) ** 2
    return math.sqrt(math.log1p(varying)) * math.log(threshold) / math.log(level)


def _bisect(p_values: Array, steps_between: float, resolve_after: int) -> float:
    wanted = len(p_values) / steps_between
    low, high = math.log(1e-12), math.log(0.5)
    for _ in range(60):
        middle = 0.5 * (low + high)
        if episodes(p_values, math.exp(middle), resolve_after) > wanted:
            high = middle
        else:
            low = middle
    return math.exp(low)


def _cluster_depths(p_values: Array, threshold: float, resolve_after: int) -> Array:
    """The depth ``-ln p`` of the deepest step of each alarm at `threshold`."""
    hits = np.flatnonzero(p_values <= threshold)
    clusters = np.split(hits, np.flatnonzero(np.diff(hits) > resolve_after) + 1)
    return np.array([-math.log(p_values[cluster].min()) for cluster in clusters if len(cluster)])
