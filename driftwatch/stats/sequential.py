"""From a false-alarm budget to a threshold: the whole sliding procedure, simulated on reference data.

Windows that slide overlap, and several sizes are tested at once, so a p-value is no false-alarm rate. What a user
chooses is how many samples should pass between false alarms; the threshold that gives it is read off a long
simulated null stream, and beyond that stream's length off the fitted tail of its alarms (METHOD.md, "From statistic
to alarm").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.null import Features, WindowNull, features, fit_window_null, join
from driftwatch.stats.resample import null_panes, repeats
from driftwatch.stats.summary import Array, Layout

MIN_EPISODES = 40
DECAY_EPISODES = 200


@dataclass(frozen=True)
class Control:
    """The threshold that keeps a false-alarm budget.

    Args:
        threshold: an alarm starts when the smallest p-value of a step is at most this.
        budget: expected samples between false alarms, as asked.
        simulated: samples in the simulated null stream.
        observed: samples between false alarms at this threshold in that stream; infinite if there were none.
        extrapolated: how many times the budget exceeds what the stream could resolve; 1 when it did not.
    """

    threshold: float
    budget: float
    simulated: int
    observed: float
    extrapolated: float


@dataclass(frozen=True)
class Procedure:
    """A calibrated sliding procedure: the null of each window size, and the threshold over all of them.

    `remarks` say for people what its calibration rests on, where that is less than asked for.
    """

    nulls: Mapping[int, WindowNull]
    step: int
    control: Control
    remarks: tuple[str, ...] = ()


def calibrate_procedure(
    bank: NDArray[np.float32],
    layout: Layout,
    sizes: Sequence[int],
    step: int,
    *,
    budget: float,
    resolve_after: int,
    others: Array | None = None,
    block: int = 1,
    samples: int = 400_000,
    seed: int = 0,
) -> Procedure:
    """Simulates the sliding procedure on reference data and sets its threshold.

    Args:
        bank: summaries of single reference samples that neither flow nor moments were fitted on, ``(N, V)``.
        layout: of the summaries.
        sizes: window sizes in samples, each a multiple of `step`.
        step: samples in a pane.
        budget: expected samples between false alarms.
        resolve_after: quiet steps that end an alarm.
        others: summary of the held-out samples beside the bank, ``(V,)``.
        block: samples of the bank in a row that are drawn together.
        samples: length of the simulated stream.
        seed: of the resampling.
    """
    widths = {size: size // step for size in sizes}
    measured: dict[int, list[Features]] = {size: [] for size in sizes}
    longest = max(widths.values())
    rng = np.random.default_rng(seed)
    for panes in null_panes(bank, step, -(-samples // step) + longest, longest, rng, others, block):
        for size, width in widths.items():
            windows = sliding_sums(panes, width)
            measured[size].append(features(windows[longest - width :], layout))
    joined = {size: join(parts) for size, parts in measured.items()}
    nulls = {size: fit_window_null(parts, layout, size) for size, parts in joined.items()}
    p_values = np.min([nulls[size].judge(joined[size]).p_values["combined"] for size in sizes], axis=0)
    control = control_for(p_values, step, budget, resolve_after)
    remarks = []
    if control.extrapolated > 1:
        remarks.append(
            f"the budget is {control.extrapolated:,.0f} times what the simulated stream resolves: the threshold rests "
            "on a fitted tail"
        )
    if repeats(max(sizes), len(bank)):
        remarks.append(
            f"windows of {max(sizes):,} are large beside the {len(bank):,} samples of the bank: samples repeat within "
            "them, and p-values err towards silence; more held-out data would mend that"
        )
    return Procedure(nulls, step, control, tuple(remarks))


def sliding_sums(panes: Array, width: int) -> Array:
    """Sums of every `width` consecutive panes: ``(S, V)`` to ``(S - width + 1, V)``."""
    if width == 1:
        return panes
    total = np.cumsum(panes, axis=0)
    out = total[width - 1 :].copy()
    out[1:] -= total[:-width]
    return out


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
    """The threshold at which a null sequence of p-values, one a step, alarms once per `budget` samples.

    Within the sequence's resolution (at least `MIN_EPISODES` alarms) the threshold is read off by bisection. Beyond
    it the alarms' depths ``-ln p`` are extrapolated exponentially, which is how p-values fall if they are right; how
    fast they fall is learnt from more alarms, of a higher threshold, since it decides over orders of magnitude.
    """
    simulated = len(p_values) * step
    resolvable = simulated / MIN_EPISODES
    threshold = _bisect(p_values, min(budget, resolvable) / step, resolve_after)
    if budget > resolvable:
        depth = -math.log(threshold)
        often = _bisect(p_values, simulated / DECAY_EPISODES / step, resolve_after)
        beyond = _cluster_depths(p_values, often, resolve_after) + math.log(often)
        decay = float(np.clip(beyond.mean(), 0.5, 3.0))
        threshold = math.exp(-(depth + decay * math.log(budget / resolvable)))
    alarms = episodes(p_values, threshold, resolve_after)
    return Control(
        threshold=threshold,
        budget=budget,
        simulated=simulated,
        observed=simulated / alarms if alarms else math.inf,
        extrapolated=max(1.0, budget / resolvable),
    )


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
