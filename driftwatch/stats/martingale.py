"""A conformal test martingale on point scores: an alarm that is valid at any time, for as long as a stream runs.

Each score is ranked among those of the calibration set and of the stream so far. As long as all of them are
exchangeable, the ranks are independent and uniform, exactly and whatever their distribution, so that a gambler who bets
against it makes no gain on average: the chance that his wealth ever passes ``1 / alpha`` is at most ``alpha`` (Ville).
The gambler divides his money over all moments at which a drift may start, and over bets of several strengths, so that
a late drift is bet on as boldly as an early one.

References:
    Vovk, Nouretdinov and Gammerman, "Testing exchangeability on-line" (ICML 2003).
    Vovk, Gammerman and Shafer, "Algorithmic learning in a random world" (2022), chapters 8 and 9.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.summary import Array

Counts = NDArray[np.int64]
Ranks = NDArray[np.uint8]

GRADES = 200
"""How finely scores are told apart: grade 0 is the most surprising half percent of the reference."""

POWERS = np.array([0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.2, 1.6, 2.5, 5.0])
"""Bets ``a p^(a-1)``: below 1 on scores that surprise more than the reference's, above 1 on such as do less."""

LOG_POWERS = np.log(POWERS)

AT_ONCE = 128
"""Scores whose ranks are worked out together: work grows with the square of it, and a byte counts them."""

SPLITMIX = [
    np.array(each, dtype=np.uint64)
    for each in (1, 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 30, 27, 31, 11)
]
"""The generator's numbers, as arrays: NumPy takes those in half of the time that it takes for single numbers."""


def grades(surprise: Array) -> Ranks:
    """The grade of each score ``-ln p``, ``(N,)``.

    >>> grades(-np.log(np.array([0.001, 0.5, 1.0]))).tolist()
    [0, 100, 199]
    """
    return np.asarray(np.minimum(np.exp(-surprise) * GRADES, GRADES - 1), dtype=np.uint8)


def count(found: Ranks) -> Counts:
    """How many scores are of each grade, ``(GRADES,)``."""
    return np.bincount(found, minlength=GRADES).astype(np.int64)


@dataclass(frozen=True)
class Martingale:
    """A gambler's accounts.

    Args:
        counts: scores of each grade, of the calibration set and seen since, ``(GRADES,)``.
        rounds: of betting.
        active: logarithm of the wealth in each bet of `POWERS`, ``(A,)``.
        deepest: the largest logarithm of all wealth so far.
    """

    counts: Counts
    rounds: int
    active: Array
    deepest: float

    @cached_property
    def log_wealth(self) -> float:
        """The logarithm of all wealth, nats; 0 at first."""
        asleep = math.log(_asleep(self.rounds))
        return float(np.logaddexp.reduce([asleep, *self.active]))

    def bet(self, found: Ranks) -> Martingale:
        """Bets on the grades of scores, ``(n,)``, in the order in which they came; money wakes up before it, once."""
        rounds = self.rounds + 1
        woken = math.log(_asleep(self.rounds) - _asleep(rounds)) - math.log(len(POWERS))
        active = np.logaddexp(self.active, woken)
        counts, logs = self.counts, 0.0
        for start in range(0, len(found), AT_ONCE):
            some = found[start : start + AT_ONCE]
            logs += float(np.log(_ranks(counts, some)).sum())
            counts = counts + count(some)
        active = active + len(found) * LOG_POWERS + (POWERS - 1.0) * logs
        then = Martingale(counts, rounds, active, self.deepest)
        return then if then.log_wealth <= then.deepest else replace(then, deepest=then.log_wealth)

    def to_json(self) -> dict[str, Any]:
        """JSON-able; the numbers come back as they are."""
        return {
            "counts": self.counts.tolist(),
            "rounds": self.rounds,
            "active": self.active.tolist(),
            "deepest": self.deepest,
        }

    @staticmethod
    def from_json(told: Mapping[str, Any]) -> Martingale:
        """The inverse of `to_json`."""
        return Martingale(
            np.array(told["counts"], dtype=np.int64),
            int(told["rounds"]),
            np.array(told["active"], dtype=np.float64),
            float(told["deepest"]),
        )


def start(calibration: Ranks) -> Martingale:
    """A martingale that has not bet yet, for the grades of a calibration set, ``(N,)``."""
    return Martingale(count(calibration), 0, np.full(len(POWERS), -1e300), 0.0)


def _asleep(rounds: int) -> float:
    """The share of the money that has not been put into bets: it falls so slowly that a late drift is bet on, too."""
    return 1.0 / math.log(rounds + math.e)


def _ranks(counts: Counts, found: Ranks) -> Array:
    """The rank of each of a few scores, among all that came before it, in ``(0, 1)``, ``(n,)``."""
    place = found.astype(np.intp)
    up_to = np.cumsum(counts)
    totals = int(up_to[-1]) + np.arange(len(found))
    below = (up_to - counts)[place] + _before_each(found < found[:, None])
    same = counts[place] + _before_each(found == found[:, None])
    ranks: Array = (below + _uniform(totals) * (same + 1)) / (totals + 1)
    return ranks


def _before_each(those: NDArray[np.bool_]) -> Ranks:
    """Of each score, how many of those of its row ``(n, n)`` come before it, ``(n,)``: a byte is enough."""
    counted: Ranks = np.add.reduce((those & _before(len(those))).view(np.uint8), axis=1, dtype=np.uint8)
    return counted


@cache
def _before(scores: int) -> NDArray[np.bool_]:
    """Which scores come before each, ``(n, n)``."""
    return np.tri(scores, k=-1, dtype=bool)


def _uniform(numbers: Counts) -> Array:
    """For the score of each number one in ``(0, 1)`` that breaks its ties: always the same.

    As the splitmix64 generator makes them; products wrap.
    """
    one, step, first, second, *shifts = SPLITMIX
    v = numbers.astype(np.uint64)
    v += one
    v *= step
    v ^= v >> shifts[0]
    v *= first
    v ^= v >> shifts[1]
    v *= second
    v ^= v >> shifts[2]
    v >>= shifts[3]
    v |= one
    return v / float(1 << 53)
