"""The null of windows of any size, interpolated between simulated sizes.

Time-based windows contain however many samples arrived. Features depend smoothly on that number: means and spreads are
nearly powers of it, and the shapes of distributions hardly change. So centres, spreads and quantiles are interpolated
between the next smaller and the next larger simulated size, on a logarithmic scale.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field, replace

import numpy as np

from driftwatch.stats.combination import Combination
from driftwatch.stats.effect import EffectSize
from driftwatch.stats.null import Distance, Statistics, WindowNull
from driftwatch.stats.summary import Array
from driftwatch.stats.tail import Tail

RATIO = 1.6
"""Ratio of consecutive simulated sizes."""

CACHED = 64
"""Interpolated nulls that are cached for further windows of the same size; each takes about 100 KB."""


def grid_sizes(least: int, most: int, step: int) -> tuple[int, ...]:
    """Sizes to simulate, multiples of `step`, dense enough to interpolate between the first and the last.

    >>> grid_sizes(20, 200, 10)
    (20, 30, 50, 80, 130, 200)
    """
    low, high = -(-least // step), most // step
    if high <= low:
        return (low * step,)
    count = math.ceil(math.log(high / low, RATIO) - 1e-9)
    return tuple(sorted({round(low * (high / low) ** (place / count)) * step for place in range(count + 1)}))


@dataclass(frozen=True)
class NullGrid:
    """Nulls of several sizes, and interpolation between them.

    Args:
        nulls: ascending by size.
    """

    nulls: tuple[WindowNull, ...]
    _interpolated: dict[int, WindowNull] = field(default_factory=dict, repr=False, compare=False)

    @property
    def least(self) -> int:
        """The fewest samples in a window that can be tested."""
        return self.nulls[0].size

    @property
    def most(self) -> int:
        """The most samples in a window that can be tested."""
        return self.nulls[-1].size

    def at(self, size: int) -> WindowNull:
        """The null of windows of `size` samples, which must lie between `least` and `most`."""
        if size not in self._interpolated:
            if len(self._interpolated) == CACHED:
                del self._interpolated[next(iter(self._interpolated))]
            sizes = [null.size for null in self.nulls]
            place = min(max(bisect_right(sizes, size) - 1, 0), len(sizes) - 2) if len(sizes) > 1 else 0
            self._interpolated[size] = between(self.nulls[place], self.nulls[min(place + 1, len(sizes) - 1)], size)
        return self._interpolated[size]


def between(low: WindowNull, high: WindowNull, size: int) -> WindowNull:
    """Interpolate the null of windows of `size` samples between those of a smaller and a larger size."""
    if size in (low.size, high.size):
        return low if size == low.size else high
    share = math.log(size / low.size) / math.log(high.size / low.size)
    near = low if share < 0.5 else high
    mean, deviation = _even(low.mean, high.mean, share), _powers(low.deviation, high.deviation, share)
    statistics = Statistics(
        geometry=_moved(near.statistics.geometry, near, mean, deviation),
        nll_centre=float(_even(low.statistics.nll_centre, high.statistics.nll_centre, share)),
        groups=near.statistics.groups,
        whole=near.statistics.whole,
        members=near.statistics.members,
        combination=_combination(low.statistics.combination, high.statistics.combination, share),
    )
    return replace(
        near,
        size=size,
        statistics=statistics,
        tails={name: _tail(low.tails[name], high.tails[name], share) for name in near.tails},
        mean=mean,
        deviation=deviation,
        effect_size=EffectSize(
            _powers(low.effect_size.chance, high.effect_size.chance, share),
            float(_powers(low.effect_size.most, high.effect_size.most, share)),
            float(_powers(low.effect_size.deviation, high.effect_size.deviation, share)),
        ),
        parts_mean=_powers(low.parts_mean, high.parts_mean, share),
    )


def _moved(distance: Distance, near: WindowNull, mean: Array, deviation: Array) -> Distance:
    """A distance with another centre, rescaled so that its own spread stays as fitted."""
    columns = distance.columns
    scale = (near.deviation / deviation)[columns]
    return Distance(columns, mean[columns], distance.whitener * scale[:, None])


def _combination(low: Combination, high: Combination, share: float) -> Combination:
    """Interpolate if the same statistics vary at both sizes; otherwise take the combination of the nearer size."""
    if not np.array_equal(low.columns, high.columns):
        return low if share < 0.5 else high
    tails, sums = (
        tuple(_tail(one, other, share) for one, other in zip(*both, strict=True))
        for both in ((low.tails, high.tails), (low.sums, high.sums))
    )
    return replace(low, tails=tails, sums=sums)


def _tail(low: Tail, high: Tail, share: float) -> Tail:
    positive = low.quantiles[0] > 0 and high.quantiles[0] > 0
    return Tail(
        (_powers if positive else _even)(low.quantiles, high.quantiles, share),
        low.share,
        float(_even(low.shape, high.shape, share)),
        float(_powers(low.scale, high.scale, share)),
    )


def _even(low: Array | float, high: Array | float, share: float) -> Array:
    return np.asarray((1.0 - share) * np.asarray(low) + share * np.asarray(high))


def _powers(low: Array | float, high: Array | float, share: float) -> Array:
    """Interpolate geometrically where both values are positive, linearly elsewhere."""
    positive = (np.asarray(low) > 0) & (np.asarray(high) > 0)
    one, other = np.where(positive, low, 1.0), np.where(positive, high, 1.0)
    return np.where(positive, one ** (1.0 - share) * other**share, _even(low, high, share))
