"""From p-values of null streams to the threshold that keeps a false-alarm budget, and how certain that threshold is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from driftwatch.stats.rates import Rates, StreamRates, StretchRates, largest_threshold
from driftwatch.stats.summary import Array

LEAST_SHARE = 1e-6
"""Least share of the false alarms attributed to one kind of windows, to avoid division by zero."""

SELDOM = 1e4
"""The upper end of an interval is at most this many budgets: more samples between false alarms is as good as never."""


@dataclass(frozen=True)
class Control:
    """The threshold that keeps a false-alarm budget.

    Args:
        threshold: an alarm starts when the smallest p-value of a step is at most this.
        budget: requested number of expected samples between false alarms.
        simulated: samples in the simulated null streams.
        observed: samples between false alarms at this threshold in those streams; infinite if there were none.
        interval: of the samples between false alarms, low and high, which contains the true figure for 95 of 100
            bundles. If there is only one stream, from the whole bank, it does not include the bank's own error.
    """

    threshold: float
    budget: float
    simulated: int
    observed: float
    interval: tuple[float, float]


def control_for(
    p_values: Array,
    step: int,
    budget: float,
    resolve_after: int,
    stretches: Array | None = None,
    distinct: int | None = None,
) -> Control:
    """The threshold at which null sequences of p-values alarm once per `budget` samples on average.

    Within the resolution of the sequences (at least `MIN_EPISODES` alarms) the threshold is found by bisection. Beyond
    it the alarms' depths ``-ln p`` are extrapolated exponentially, which is how they fall if the p-values are right.
    The slope decides over orders of magnitude, so it is estimated from the more frequent alarms of a higher threshold.

    The rates of windows that are large relative to the held-out samples are added to those of the others: alarms of
    both kinds seldom begin at the same step.

    Args:
        p_values: the smallest of each step, ``(J, S)``, each row from a different half of the bank, or one row from all
            of it; ``(0, 0)`` if all windows are large.
        step: samples per step.
        budget: expected samples between false alarms.
        resolve_after: steps without an alarm that separate two alarms.
        stretches: the smallest p-value of large windows at each step, ``(J', S')``; every two consecutive rows share a
            truth (see `driftwatch.stats.large`). None if there are no such windows.
        distinct: samples in the bank, if it is drawn from in blocks that contain whole windows: alarms of such windows
            repeat, so a simulation shows no more distinct ones than a stream of the bank's length.
    """
    kinds: list[Rates] = [StreamRates(p_values, step, resolve_after, distinct)] if p_values.size else []
    if stretches is not None:
        kinds.append(StretchRates(stretches, step, resolve_after))
    threshold = kinds[0].threshold(budget) if len(kinds) == 1 else _together(kinds, budget)
    rates = [kind.rate(threshold) for kind in kinds]
    shares = [max(rate / max(sum(rates), 1e-300), LEAST_SHARE) for rate in rates] if len(kinds) > 1 else [1.0]
    # An error that makes one kind alarm too often is assumed to affect the other kind, too.
    factors = [kind.factors(threshold, budget / share) for kind, share in zip(kinds, shares, strict=True)]
    least, most = (sum(share * each[end] for share, each in zip(shares, factors, strict=True)) for end in (0, 1))
    alarms = [(kind.alarms(threshold), kind.simulated) for kind in kinds]
    observed = sum(count / simulated for count, simulated in alarms)
    return Control(
        threshold=threshold,
        budget=budget,
        simulated=min(simulated for _, simulated in alarms),
        observed=1 / observed if observed else math.inf,
        interval=(budget / most, budget / max(least, 1 / SELDOM)),
    )


def _together(kinds: list[Rates], budget: float) -> float:
    """The threshold at which all kinds together alarm once per `budget` samples."""
    return largest_threshold(lambda threshold: sum(kind.rate(threshold) for kind in kinds) <= 1 / budget)
