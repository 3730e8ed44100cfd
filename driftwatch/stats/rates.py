"""Rates at which null sequences of p-values raise alarms, extrapolated beyond what was simulated, and their errors.

The error of a rate has three sources, which add up on a logarithmic scale: few alarms were counted; beyond them, their
depths are extrapolated; and the held-out samples that everything is drawn from are few themselves.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, owens_t, stdtrit

from driftwatch.stats.summary import Array

MIN_EPISODES = 40
"""Alarms that must be counted for a rate to be read off without extrapolation."""

DECAY_EPISODES = 400
"""Alarms from which the slope of the extrapolation is estimated."""

SPREAD_EPISODES = 50
"""Approximate number of alarms per stream at which the halves of a bank are compared."""

SPREAD_SHARE = 0.05
"""Share of the steps of stretches that alarm at the threshold at which truths are compared."""

DECAYS = (0.5, 3.0)
"""Bounds of the estimated slope of depths over log rarity; 1 where p-values are right."""

CONFIDENCE = 0.95
BEYOND = (1 - CONFIDENCE) / 2

STRETCH_DECAYS = (1.0, 1.25)
"""The same for large windows. Their p-values are right by construction, but they hover about a threshold: the lower it
is, the more alarms begin per alarming step (for windows of 50,000, 6 in 1,000 at p <= 0.5, 38 at 0.001)."""

LOWEST = math.log(1e-12)
"""Log of the lowest threshold that is considered; the highest is a half."""


def largest_threshold(is_kept: Callable[[float], bool]) -> float:
    """The largest threshold that keeps a budget, by bisection of its log: the higher it is, the more alarms begin."""
    low, high = LOWEST, math.log(0.5)
    for _ in range(60):
        middle = 0.5 * (low + high)
        if is_kept(math.exp(middle)):
            low = middle
        else:
            high = middle
    return math.exp(low)


def episodes(p_values: Array, threshold: float, resolve_after: int) -> int:
    """The number of alarms that a sequence of p-values raises, with the hysteresis of the policy.

    >>> episodes(np.array([1, 0.001, 1, 0.001, 1, 1, 0.001]), threshold=0.01, resolve_after=2)
    2
    """
    hits = np.flatnonzero(p_values <= threshold)
    if len(hits) == 0:
        return 0
    return 1 + int(np.count_nonzero(np.diff(hits) > resolve_after))


@dataclass(frozen=True)
class Rates(ABC):
    """Rates of alarms in null sequences of p-values.

    Args:
        p_values: the smallest of each step, ``(J, S)``.
        step: samples per step.
        resolve_after: steps without an alarm that separate two alarms.
    """

    p_values: Array
    step: int
    resolve_after: int

    @property
    @abstractmethod
    def simulated(self) -> int:
        """The number of simulated samples."""

    @abstractmethod
    def alarms(self, threshold: float) -> int:
        """The number of alarms that begin at a threshold."""

    @abstractmethod
    def factors(self, threshold: float, budget: float) -> tuple[float, float]:
        """Factors on a rate of one alarm per `budget` samples that contain the true rate for 95 of 100 bundles."""

    @abstractmethod
    def _learnt(self) -> tuple[float, float]:
        """The slope of depths over log rarity (per factor of e), and its relative error."""

    @abstractmethod
    def _counted(self) -> float:
        """The variance of the logarithm of `MIN_EPISODES` alarms, times `MIN_EPISODES`."""

    @property
    def resolvable(self) -> float:
        """The largest number of samples between false alarms that needs no extrapolation."""
        return self.simulated / MIN_EPISODES

    def threshold(self, budget: float) -> float:
        """The threshold at which there is one alarm per `budget` samples."""
        if budget <= self.resolvable:
            return self._bisect(budget)
        return math.exp(-(-math.log(self._resolved) + self._decay[0] * math.log(budget / self.resolvable)))

    def rate(self, threshold: float) -> float:
        """Alarms per sample."""
        if threshold >= self._resolved:
            return self.alarms(threshold) / self.simulated
        return math.exp(-math.log(self._resolved / threshold) / self._decay[0]) / self.resolvable

    def _variance(self, budget: float) -> float:
        """Variance of the log rate of one alarm per `budget` samples, due to counting and extrapolation."""
        variance = min(budget, self.resolvable) / self.simulated * self._counted()
        if budget > self.resolvable:
            # The alarms that set the depth are among those that set the slope, so their errors are correlated.
            beyond_seen = math.log(budget / self.resolvable)
            learnt_from = 2 * math.log(DECAY_EPISODES / MIN_EPISODES)
            variance += self._decay[1] ** 2 * beyond_seen * (beyond_seen + learnt_from)
        return variance

    @cached_property
    def _resolved(self) -> float:
        return self._bisect(self.resolvable)

    @cached_property
    def _often(self) -> float:
        return self._bisect(self.simulated / DECAY_EPISODES)

    @cached_property
    def _decay(self) -> tuple[float, float]:
        return self._learnt()

    def _bisect(self, budget: float) -> float:
        wanted = self.simulated / budget
        return largest_threshold(lambda threshold: self.alarms(threshold) <= wanted)


@dataclass(frozen=True)
class StreamRates(Rates):
    """Rates in long streams, each from a different half of the bank, or in one stream from all of it.

    Args:
        distinct: samples after which the same alarms occur again; None if all simulated alarms are distinct.
    """

    distinct: int | None = None

    @property
    def simulated(self) -> int:
        return int(self.p_values.size) * self.step

    def alarms(self, threshold: float) -> int:
        return episodes(self.p_values.ravel(), threshold, self.resolve_after)

    def factors(self, threshold: float, budget: float) -> tuple[float, float]:
        streams = len(self.p_values)
        # The halves that set the threshold are finite in number, which adds a little.
        variance = self._variance(budget)
        if self.distinct:
            variance += min(budget, self.resolvable) / self.distinct
        deviation = math.sqrt(variance + self._bank_error(threshold) ** 2 * (1 + 1 / streams))
        quantile = -float(stdtrit(streams - 1, BEYOND) if streams > 1 else ndtri(BEYOND))
        return math.exp(-quantile * deviation), math.exp(quantile * deviation)

    def _learnt(self) -> tuple[float, float]:
        beyond = _cluster_depths(self.p_values.ravel(), self._often, self.resolve_after) + math.log(self._often)
        decay = float(np.clip(beyond.mean(), *DECAYS))
        return decay, float(beyond.std()) / decay / math.sqrt(len(beyond))

    def _counted(self) -> float:
        return 1.0

    def _bank_error(self, threshold: float) -> float:
        """The standard deviation of the logarithm of the alarm rate at `threshold` from one bank to another.

        Half a bank differs from the whole as much as the whole differs from the truth: ``1/(B/2) - 1/B = 1/B``. Counts
        of rare alarms are too noisy to compare, so more frequent alarms are compared, and their error is assumed to
        grow with the depth, as it does where the scale of a tail is wrong. The noise of the counts is not subtracted:
        that would leave nothing for many bundles, and the errors of windows of 10 and 100 grow faster than the depth
        (`benchmarks.generated_alarms`).
        """
        if len(self.p_values) < 2:
            return 0.0
        level = max(threshold, self._bisect(self.p_values.shape[1] * self.step / SPREAD_EPISODES))
        alarms = np.array([episodes(row, level, self.resolve_after) for row in self.p_values], dtype=np.float64)
        varying = float(alarms.var(ddof=1)) / max(float(alarms.mean()), 1.0) ** 2
        return math.sqrt(math.log1p(varying)) * math.log(threshold) / math.log(level)


class StretchRates(Rates):
    """Rates in many short stretches of large windows; every two consecutive rows share a truth (`stats.large`)."""

    @property
    def simulated(self) -> int:
        rows, steps = self.p_values.shape
        return int(rows * (steps - self._quiet) * self.step)

    def alarms(self, threshold: float) -> int:
        return int(starts(self.p_values, threshold, self._quiet).sum())

    def factors(self, threshold: float, budget: float) -> tuple[float, float]:
        """See `Rates.factors`.

        From one truth to another, rates differ by more than any factor: a few references raise most of the alarms. So
        what windows of one truth share is modelled as a normal variable, and windows alarm where the sum of it and
        their own noise exceeds a limit. The shared part is estimated from how often both stretches of a truth alarm, at
        a threshold where many do; they have nothing else in common.
        """
        level = float(np.quantile(self.p_values, SPREAD_SHARE))
        one, other = (self.p_values <= level).mean(1).reshape(-1, 2).T
        alarming, both = float(np.mean([one, other])), float((one * other).mean())
        common = _common(alarming, both)
        limit = float(ndtri(min(alarming * threshold / level, 0.5)))
        chance = math.exp(-float(ndtri(BEYOND)) * math.sqrt(self._variance(budget)))
        shifts = [math.sqrt(common) * float(ndtri(tail)) for tail in (BEYOND, 1 - BEYOND)]
        least, most = (float(ndtr((limit + shift) / math.sqrt(1 - common)) / ndtr(limit)) for shift in shifts)
        return least / chance, most * chance

    def _learnt(self) -> tuple[float, float]:
        # Stretches are shorter than alarms and seldom contain an alarm's deepest step, so rates are compared instead.
        rarity = math.log(DECAY_EPISODES / MIN_EPISODES)
        decay = float(np.clip(math.log(self._often / self._resolved) / rarity, *STRETCH_DECAYS))
        return decay, math.sqrt(self._counted() / MIN_EPISODES) / rarity

    def _counted(self) -> float:
        # Alarms of one stretch, or of the two stretches of one truth, are not independent.
        each = starts(self.p_values, self._resolved, self._quiet).reshape(-1, 2).sum(1)
        return float(each.var() / max(float(each.mean()), 1e-12))

    @property
    def _quiet(self) -> int:
        # Short stretches have room for fewer quiet steps, which means more alarms and a lower threshold.
        return int(min(self.resolve_after, self.p_values.shape[1] // 2))


def starts(p_values: Array, threshold: float, quiet: int) -> Array:
    """The number of alarms that begin in each of many short stretches of a stream, ``(J, S)`` to ``(J,)``.

    An alarm in the first `quiet` steps of a stretch may have begun before it, so no beginnings are counted there.

    >>> starts(np.array([[1, 1, 0.001, 1, 0.001], [0.001, 0.001, 0.001, 1, 1]]), threshold=0.01, quiet=2).tolist()
    [1, 0]
    """
    hits = p_values <= threshold
    before = np.cumsum(np.pad(hits, ((0, 0), (1, 0))), axis=1)
    none = before[:, quiet:-1] == before[:, : -quiet - 1]
    return np.asarray((hits[:, quiet:] & none).sum(1))


def _common(alarming: float, both: float) -> float:
    """Correlation of two normal variables, each beyond a limit with probability `alarming`, together with `both`.

    >>> round(_common(0.05, 0.05**2), 3), round(_common(0.05, 0.05), 3)
    (0.0, 0.999)
    """
    limit = -float(ndtri(alarming))

    def off(common: float) -> float:
        return alarming - 2 * float(owens_t(limit, math.sqrt((1 - common) / (1 + common)))) - both

    if both <= alarming**2:
        return 0.0
    return float(brentq(off, 0.0, 0.999)) if off(0.999) > 0 else 0.999


def _cluster_depths(p_values: Array, threshold: float, resolve_after: int) -> Array:
    """The depth ``-ln p`` of the deepest step of each alarm at `threshold`."""
    hits = np.flatnonzero(p_values <= threshold)
    clusters = np.split(hits, np.flatnonzero(np.diff(hits) > resolve_after) + 1)
    return np.array([-math.log(p_values[cluster].min()) for cluster in clusters if len(cluster)])
