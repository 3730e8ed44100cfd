"""A conformal test martingale on point scores: an alarm that is valid at any time, for as long as a stream runs.

Each score is ranked among those of the calibration set and of the stream so far. As long as all of them are
exchangeable, the ranks are independent and exactly uniform, whatever the distribution of the scores. So a gambler who
bets against uniformity gains nothing on average: the probability that the wealth ever exceeds ``1 / alpha`` is at most
``alpha`` (Ville). The money is divided over all moments at which a drift may start, and over bets of several strengths,
so that a late drift is bet on as boldly as an early one.

References:
    Vovk, Nouretdinov and Gammerman, "Testing exchangeability on-line" (ICML 2003).
    Vovk, Gammerman and Shafer, "Algorithmic learning in a random world" (2022), chapters 8 and 9.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.summary import Array

Counts = NDArray[np.int64]
Ranks = NDArray[np.uint8]

GRADES = 200
"""Resolution of scores: grade 0 is the most surprising half percent of the reference."""

POWERS = np.array([0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.2, 1.6, 2.5, 5.0])
"""Bets ``a p^(a-1)``: below 1 on scores that are more surprising than the reference's, above 1 on less surprising."""

LOG_POWERS, SLOPES = np.log(POWERS), POWERS - 1.0
"""The log of a bet on ``p`` is ``LOG_POWERS + SLOPES * log(p)``."""

AT_ONCE = 128
"""Scores that are ranked together: the work grows with its square, and counts of so few fit into a byte."""

SPLITMIX = [
    np.array(each, dtype=np.uint64)
    for each in (1, 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 30, 27, 31, 11)
]
"""Constants of splitmix64, as arrays: NumPy combines these with arrays in half the time of scalars."""


def grades(surprise: Array) -> Ranks:
    """The grade of each score ``-ln p``, ``(N,)``.

    >>> grades(-np.log(np.array([0.001, 0.5, 1.0]))).tolist()
    [0, 100, 199]
    """
    return np.asarray(np.minimum(np.exp(-surprise) * GRADES, GRADES - 1), dtype=np.uint8)


def count(found: Ranks) -> Counts:
    """The number of scores of each grade, ``(GRADES,)``."""
    return np.bincount(found, minlength=GRADES).astype(np.int64, copy=False)


@dataclass(frozen=True)
class Martingale:
    """The state of the bets.

    Args:
        counts: scores of each grade in the calibration set and in the stream so far, ``(GRADES,)``.
        rounds: of betting so far.
        active: log of the wealth in each bet of `POWERS`, ``(A,)``.
        deepest: the largest log of the total wealth so far.
    """

    counts: Counts
    rounds: int
    active: Array
    deepest: float

    @cached_property
    def log_wealth(self) -> float:
        """The log of the total wealth, nats; 0 at first."""
        return float(np.logaddexp.reduce(self.active, initial=math.log(_asleep(self.rounds))))

    def bet(self, runs: Iterable[Ranks]) -> Iterator[Martingale]:
        """Bet on the grades of scores, ``(n,)``, run by run; before each run, more of the money starts to take part.

        Short runs are ranked together, which costs much less than one by one.

        Yields:
            the state after each run.
        """
        state = self
        for group in _groups(runs):
            logs, first = _log_ranks(state.counts, np.concatenate(group)), 0
            for run in group:
                last = first + len(run)
                state, first = state._after(run, float(logs[first:last].sum())), last
                yield state

    def _after(self, found: Ranks, logs: float) -> Martingale:
        """The state after a bet, given the sum of the logs of the scores' ranks."""
        rounds = self.rounds + 1
        woken = math.log(_asleep(self.rounds) - _asleep(rounds)) - math.log(len(POWERS))
        active = np.logaddexp(self.active, woken)
        active += len(found) * LOG_POWERS
        active += SLOPES * logs
        then = Martingale(self.counts + count(found), rounds, active, self.deepest)
        return then if then.log_wealth <= then.deepest else replace(then, deepest=then.log_wealth)

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form that restores every number exactly."""
        return {
            "counts": self.counts.tolist(),
            "rounds": self.rounds,
            "active": self.active.tolist(),
            "deepest": self.deepest,
        }

    @staticmethod
    def from_json(state: Mapping[str, Any]) -> Martingale:
        """The inverse of `to_json`."""
        return Martingale(
            np.array(state["counts"], dtype=np.int64),
            int(state["rounds"]),
            np.array(state["active"], dtype=np.float64),
            float(state["deepest"]),
        )


def start(calibration: Ranks) -> Martingale:
    """A martingale before its first bet, given the grades of a calibration set, ``(N,)``."""
    return Martingale(count(calibration), 0, np.full(len(POWERS), -1e300), 0.0)


def _asleep(rounds: int) -> float:
    """Share of the money not yet put into bets; it falls so slowly that a late drift is still bet on."""
    return 1.0 / math.log(rounds + math.e)


def _groups(runs: Iterable[Ranks]) -> Iterator[list[Ranks]]:
    """Consecutive runs that together have at most `AT_ONCE` scores; a longer run is a group of its own."""
    group: list[Ranks] = []
    scores = 0
    for run in runs:
        if group and scores + len(run) > AT_ONCE:
            yield group
            group, scores = [], 0
        group.append(run)
        scores += len(run)
    if group:
        yield group


def _log_ranks(counts: Counts, found: Ranks) -> Array:
    """The log of each score's rank among all that came before it, ``(n,)``."""
    logs = np.empty(len(found))
    for start in range(0, len(found), AT_ONCE):
        some = found[start : start + AT_ONCE]
        logs[start : start + AT_ONCE] = np.log(_ranks(counts, some))
        counts = counts + count(some)
    return logs


def _ranks(counts: Counts, found: Ranks) -> Array:
    """The rank of each of a few scores among all that came before it, in ``(0, 1)``, ``(n,)``."""
    place = found.astype(np.intp)
    up_to = np.cumsum(counts)
    totals = int(up_to[-1]) + np.arange(len(found))
    below = (up_to - counts)[place] + _before_each(found < found[:, None])
    same = counts[place] + _before_each(found == found[:, None])
    ranks: Array = (below + _uniform(totals) * (same + 1)) / (totals + 1)
    return ranks


def _before_each(those: NDArray[np.bool_]) -> Ranks:
    """Count, in each row of ``(n, n)``, the true values before the diagonal, ``(n,)``; a byte holds the counts."""
    counted: Ranks = np.add.reduce((those & _before(len(those))).view(np.uint8), axis=1, dtype=np.uint8)
    return counted


@cache
def _before(scores: int) -> NDArray[np.bool_]:
    """Mask of the scores that come before each score, ``(n, n)``."""
    return np.tri(scores, k=-1, dtype=bool)


def _uniform(numbers: Counts) -> Array:
    """A tie-breaking value in ``(0, 1)`` for each score number: reproducible, so that replays give the same wealth.

    It is that of the splitmix64 generator; its products wrap around.
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
