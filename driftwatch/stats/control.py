"""From null sequences of p-values to the threshold that keeps a false-alarm budget, and how well that is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

from driftwatch.stats.rates import Rates, StreamRates, StretchRates, largest_threshold
from driftwatch.stats.summary import Array

LEAST_SHARE = 1e-6
"""Of the false alarms that a kind of windows raises, for what divides by it."""

SELDOM = 1e4
"""Times as many samples between false alarms as asked for, at most, that are told of: it is as good as never."""


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


def control_for(
    p_values: Array,
    step: int,
    budget: float,
    resolve_after: int,
    stretches: Array | None = None,
    distinct: int | None = None,
) -> Control:
    """The threshold at which null sequences of p-values alarm once per `budget` samples on average.

    Within their resolution (at least `MIN_EPISODES` alarms) the threshold is read off by bisection. Beyond it the
    alarms' depths ``-ln p`` are extrapolated exponentially, which is how p-values fall if they are right; how fast
    they fall is learnt from more alarms, of a higher threshold, since it decides over orders of magnitude.

    Alarms of windows that are large beside the held-out samples are added to the others': few begin at once.

    Args:
        p_values: the smallest of each step, ``(J, S)``, each row from another half of the bank; or from all of it, one.
            None, ``(0, 0)``, if all windows are large.
        step: samples in a step.
        budget: expected samples between false alarms.
        resolve_after: steps without an alarm that part two alarms.
        stretches: the smallest of large windows at each step, ``(J', S')``, each two rows from another truth (see
            `driftwatch.stats.large`); None if there are no such windows.
        distinct: samples of the bank, if it is drawn from in blocks that hold whole windows: alarms of such windows
            come again and again, so that a bank shows no more of them than it is long.
    """
    kinds: list[Rates] = [StreamRates(p_values, step, resolve_after, distinct)] if p_values.size else []
    if stretches is not None:
        kinds.append(StretchRates(stretches, step, resolve_after))
    threshold = kinds[0].threshold(budget) if len(kinds) == 1 else _together(kinds, budget)
    rates = [kind.rate(threshold) for kind in kinds]
    shares = [max(rate / max(sum(rates), 1e-300), LEAST_SHARE) for rate in rates] if len(kinds) > 1 else [1.0]
    # Whatever makes one kind alarm more often than it should is not known to spare the other.
    factors = [kind.factors(threshold, budget / share) for kind, share in zip(kinds, shares, strict=True)]
    least, most = (sum(share * each[end] for share, each in zip(shares, factors, strict=True)) for end in (0, 1))
    alarms = [(kind.alarms(threshold), kind.simulated) for kind in kinds]
    observed = sum(count / simulated for count, simulated in alarms)
    return Control(
        threshold=threshold,
        budget=budget,
        simulated=min(simulated for _, simulated in alarms),
        observed=1 / observed if observed else math.inf,
        extrapolated=max(1.0, *(budget / share / kind.resolvable for kind, share in zip(kinds, shares, strict=True))),
        interval=(budget / most, budget / max(least, 1 / SELDOM)),
    )


def _together(kinds: list[Rates], budget: float) -> float:
    """The threshold at which all kinds together alarm once per `budget` samples."""
    return largest_threshold(lambda threshold: sum(kind.rate(threshold) for kind in kinds) <= 1 / budget)
