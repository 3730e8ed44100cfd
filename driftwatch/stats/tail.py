"""Null distribution of one statistic: empirical in the body, extreme-value beyond its resolution.

Source: Pickands (1975), Hosking and Wallis (1987): excesses over a high level follow a generalized Pareto
distribution, whose two parameters follow from probability-weighted moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from driftwatch.stats.summary import Array, namespace

TAIL_SHARE = 0.02
BODY_POINTS = 512
MAX_SHAPE = 0.5
SMALLEST_P = 1e-300
ROUNDING = 1e-5
"""Share of a null's range by which a statistic of the same samples may differ, as banks are kept in float32."""


@dataclass(frozen=True)
class Tail:
    """The upper tail of a null distribution.

    Args:
        quantiles: of the null at evenly spaced probabilities from 0 to ``1 - share``, ascending.
        share: probability beyond the last quantile, where the fit takes over.
        shape: of the generalized Pareto excess, at least 0 (an endpoint is never trusted).
        scale: of the excess.
    """

    quantiles: Array
    share: float
    shape: float
    scale: float

    def p_value(self, statistic: Array) -> Array:
        """The probability under the null of a statistic at least this large, in ``(0, 1]``.

        >>> tail = fit_tail(np.random.default_rng(0).exponential(size=20_000))
        >>> bool(0.8 < tail.p_value(np.array([8.0]))[0] / np.exp(-8.0) < 1.25)
        True
        """
        xp, quantiles, last = namespace(statistic), self.quantiles, len(self.quantiles) - 1
        if self._leeway:
            statistic = statistic - self._leeway
        level = quantiles[-1]
        above = xp.searchsorted(quantiles, statistic, side="right").clip(1, last)
        low, high = quantiles[above - 1], quantiles[above]
        between = ((statistic - low) / (high - low).clip(min=1e-300)).clip(0.0, 1.0)
        body = 1.0 - (1.0 - self.share) / last * (above - 1 + between)
        excess = (statistic - level).clip(min=0.0) / self.scale
        if self.shape > 1e-6:
            beyond = self.share * xp.exp(-xp.log1p(self.shape * excess) / self.shape)
        else:
            beyond = self.share * xp.exp(-excess)
        p_value: Array = xp.where(statistic > level, beyond, body).clip(SMALLEST_P, 1.0)
        return p_value

    @cached_property
    def _leeway(self) -> float:
        """Amount subtracted from a statistic where the null repeats values, as for rows of few kinds; otherwise 0.

        Rounding may put a repeated value on either side of itself, and its p-value must include itself both times.
        """
        leeway = ROUNDING * float(self.quantiles[-1] - self.quantiles[0])
        repeated = self.quantiles[2:] - self.quantiles[:-2] <= leeway
        return leeway if bool(repeated.any()) else 0.0


def fit_tail(null: Array) -> Tail:
    """Fit the null distribution of a statistic to draws of it, ``(M,)``."""
    ordered = np.sort(np.asarray(null, dtype=np.float64))
    quantiles = np.quantile(ordered, np.linspace(0.0, 1.0 - TAIL_SHARE, BODY_POINTS))
    excess = ordered[ordered > quantiles[-1]] - quantiles[-1]
    if len(excess) < 10 or excess.max() <= 0:
        scale = max(float(ordered.std()), 1e-12)
        return Tail(quantiles, TAIL_SHARE, 0.0, scale)
    shape, scale = _pareto_by_weighted_moments(excess)
    return Tail(quantiles, TAIL_SHARE, shape, scale)


def _pareto_by_weighted_moments(excess: Array) -> tuple[float, float]:
    """Shape and scale of a generalized Pareto distribution (Hosking and Wallis 1987, section 4)."""
    ordered = np.sort(excess)
    n = len(ordered)
    a0 = float(ordered.mean())
    a1 = float((ordered * (n - np.arange(1, n + 1) + 0.35) / n).mean())
    shape = 2.0 - a0 / (a0 - 2.0 * a1)
    if not 0.0 <= shape <= MAX_SHAPE:
        shape = min(max(shape, 0.0), MAX_SHAPE)
        return shape, a0 * (1.0 - shape)
    return shape, 2.0 * a0 * a1 / (a0 - 2.0 * a1)
