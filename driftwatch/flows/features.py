"""Map columns of any kind to features that are each standard normal: the input of the vector flow.

Every column passes through its own distribution function and then the normal quantile function. Where the distribution
function jumps (categories, zeros of a rain gauge, a constant column), a value has an interval of probability, and noise
spreads it evenly over that interval: the distributional transform (Rueschendorf 2009), of which uniform dequantization
is a special case. Beyond the fitted range, the tails continue logarithmically, so an outlier stays both extreme and
finite.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from torch import Tensor, nn

from driftwatch.flows.base import Noise, content_noise

ColumnKind = Literal["numeric", "integer", "category"]
Array = NDArray[np.float64]

KNOTS = 256
ATOM_SHARE = 0.005
TAIL_SLOPE = 2.0
LIMIT = 30.0
OUTERMOST = 0.005
"""Share of a column's values on either side that say nothing of its spread, so that a few outliers do not decide it."""

MISSING_NAME = "missing "
MISSING = -1.234567e30
"""Replaces missing values before hashing, so that the content noise of a row is defined."""


@dataclass(frozen=True)
class _Distribution:
    """A column's distribution function at its knots: just below and up to (including) each knot."""

    knots: Array
    below: Array
    upto: Array
    scale: float
    count: int


class FeatureTransform(nn.Module):
    """Maps raw rows to one feature per column, and indicators of missing values.

    The feature of a missing value is pure noise. That it is missing shows in an indicator: one for each column with
    missing values in training, and a shared one for all other columns.

    Args:
        columns: number of raw columns.
        indicators: number of columns with their own indicator.
        shared: whether the other columns have a shared indicator.
        knots: largest number of knots of any column.
    """

    knots: Tensor
    below: Tensor
    upto: Tensor
    last: Tensor
    edge: Tensor
    scale: Tensor
    integer: Tensor
    indicated: Tensor

    def __init__(self, columns: int, indicators: int, *, shared: bool, knots: int) -> None:
        super().__init__()
        self.columns, self.indicators, self.shared, self.knot_count = columns, indicators, shared, knots
        self.dim = columns + indicators + int(shared)
        shape = (self.dim, knots)
        for name in ("knots", "below", "upto"):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("last", torch.zeros(self.dim, dtype=torch.int64))
        self.register_buffer("edge", torch.ones(self.dim, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(self.dim, dtype=torch.float64))
        self.register_buffer("integer", torch.zeros(columns, dtype=torch.bool))
        self.register_buffer("indicated", torch.zeros(indicators, dtype=torch.int64))

    @staticmethod
    def fit(
        raw: Array,
        kinds: Sequence[ColumnKind],
        *,
        cardinalities: Sequence[int] | None = None,
        missing: bool = True,
        seed: int = 0,
    ) -> FeatureTransform:
        """Fit the distributions of columns.

        Args:
            raw: rows ``(N, columns)``; NaN is a missing value.
            kinds: of the columns.
            cardinalities: number of known values of each category column; the next number stands for unseen values.
            missing: whether values may be missing at all.
            seed: of the noise on integers.
        """
        rng = np.random.default_rng(seed)
        sizes = cardinalities if cardinalities is not None else [0] * len(kinds)
        fitted = [_fit_column(raw[:, j], kind, sizes[j], rng) for j, kind in enumerate(kinds)]
        absent = np.isnan(raw)
        indicated = np.flatnonzero(absent.any(0)) if missing else np.array([], dtype=np.int64)
        fitted += [_fit_categories(absent[:, j].astype(float), 1) for j in indicated]
        if missing:
            fitted.append(_fit_categories(np.zeros(len(raw)), 1))
        width = max(len(each.knots) for each in fitted)
        transform = FeatureTransform(len(kinds), len(indicated), shared=missing, knots=width)
        for j, each in enumerate(fitted):
            n = len(each.knots)
            # Padded beyond the last knot in ascending order, as binary search requires.
            transform.knots[j] = torch.from_numpy(np.pad(each.knots, (0, width - n), constant_values=np.inf))
            transform.below[j] = torch.from_numpy(np.pad(each.below, (0, width - n), constant_values=1.0))
            transform.upto[j] = torch.from_numpy(np.pad(each.upto, (0, width - n), constant_values=1.0))
            transform.last[j], transform.scale[j] = n - 1, each.scale
            transform.edge[j] = 0.5 / (each.count + 1)
        transform.integer.copy_(torch.tensor([kind == "integer" for kind in kinds]))
        transform.indicated.copy_(torch.from_numpy(indicated))
        return transform

    @property
    def missing_shares(self) -> Array:
        """The share of missing values in each column of the fitted data, ``(columns,)``."""
        shares = np.zeros(self.columns)
        first = self.columns
        shares[self.indicated.cpu().numpy()] = 1.0 - self.upto[first : first + self.indicators, 0].cpu().numpy()
        return shares

    @property
    def spreads(self) -> Array:
        """The standard deviation of each column's fitted values, in the column's unit, ``(columns,)``."""
        shares, fitted = np.linspace(OUTERMOST, 1.0 - OUTERMOST, KNOTS), islice(self._fitted(), self.columns)
        return np.array([np.interp(shares, 0.5 * (below + upto), knots).std() for knots, below, upto in fitted])

    def bounded(self, raw: Tensor) -> Tensor:
        """Rows ``(N, columns)`` within twice the range of the fitted values about its middle."""
        lowest, highest = self.knots[: self.columns, 0], self.knots.gather(1, self.last[:, None])[: self.columns, 0]
        room = 0.5 * (highest - lowest)
        return raw.clamp(lowest - room, highest + room)

    def atoms(self) -> list[Array]:
        """The cumulative probabilities below and up to each feature's single values, ``(K, 2)`` per feature.

        An integer's interval is that of its noise; columns with many integers have none.
        """
        integer = [*self.integer.tolist(), *[False] * (self.dim - self.columns)]
        found = []
        for is_integer, fitted in zip(integer, self._fitted(), strict=True):
            knots, below, upto = fitted
            if is_integer and np.floor(knots[-1]) - np.floor(knots[0]) < KNOTS:
                ends = np.interp(np.arange(np.floor(knots[0]), np.floor(knots[-1]) + 2.0), knots, upto)
                below, upto = ends[:-1], ends[1:]
            has_mass = upto > below
            found.append(np.stack([below[has_mass], upto[has_mass]], axis=1))
        return found

    def _fitted(self) -> Iterator[tuple[Array, Array, Array]]:
        """Each feature's knots, and its distribution function below and up to them, without padding."""
        for j, last in enumerate(self.last.tolist()):
            knots, below, upto = (each[j, : last + 1].cpu().numpy() for each in (self.knots, self.below, self.upto))
            yield knots, below, upto

    def structure(self) -> dict[str, Any]:
        """The arguments of `from_structure` for an unfitted copy; the state dict holds the rest."""
        return {
            "columns": self.columns,
            "indicators": self.indicators,
            "shared": self.shared,
            "knots": self.knot_count,
        }

    @staticmethod
    def from_structure(columns: int, indicators: int, shared: bool, knots: int) -> FeatureTransform:
        """The inverse of `structure`."""
        return FeatureTransform(columns, indicators, shared=shared, knots=knots)

    def forward(self, raw: Tensor, *, generator: torch.Generator | None = None, noise: Noise = "random") -> Tensor:
        """Map rows ``(N, columns)`` to features ``(N, dim)``, float64; see `Flow.prepare`."""
        rows = raw.to(torch.float64).T.contiguous()  # one column after another, the order of everything below
        absent = rows.isnan()
        u = self._noise(rows.masked_fill(absent, MISSING), generator, noise)
        known = torch.where(self.integer[:, None], rows + u[: self.columns], rows).masked_fill(absent, 0.0)
        parts = [known, absent[self.indicated].to(rows.dtype)]
        if self.shared:
            others = torch.ones_like(self.integer).index_fill(0, self.indicated, value=False)
            parts.append((absent & others[:, None]).any(0, keepdim=True).to(rows.dtype))
        features = self._normal(torch.cat(parts), u)
        of_columns, plain = features[: self.columns], u[: self.columns]
        gone = _places(absent)
        drawn = torch.special.ndtri(plain[gone].clamp(1e-12, 1 - 1e-12))
        of_columns[gone] = torch.where(absent[gone], drawn, of_columns[gone])
        return features.T.contiguous()

    def _noise(self, rows: Tensor, generator: torch.Generator | None, noise: Noise) -> Tensor:
        """Noise ``(dim, N)`` for columns ``(columns, N)``."""
        if noise == "random":
            shape = (rows.shape[1], self.dim)
            drawn = torch.rand(shape, generator=generator, device=rows.device, dtype=rows.dtype)
            return drawn.T.contiguous()
        extra = rows.new_zeros(self.dim - self.columns, rows.shape[1])
        return content_noise(torch.cat([rows, extra]).T).T.contiguous()

    def _normal(self, values: Tensor, u: Tensor) -> Tensor:
        """Map values and noise, ``(dim, N)`` each, to standard normal features ``(dim, N)``."""
        last, edge = self.last[:, None], self.edge[:, None]
        k = (reached(self.knots, values) - 1).clamp(min=0).minimum(last)
        following = (k + 1).minimum(last)
        knot, beyond = self.knots.gather(1, k), self.knots.gather(1, following)
        below, upto = self.below.gather(1, k), self.upto.gather(1, k)
        share = (values - knot) / (beyond - knot).clamp(min=1e-300)
        between = upto + share.clamp(0, 1) * (self.below.gather(1, following) - upto)
        probability = torch.where(values == knot, below + u * (upto - below), between)
        normal: Tensor = torch.special.ndtri(probability.minimum(1 - edge).maximum(edge))
        lowest, highest = self.knots[:, :1], self.knots.gather(1, last)
        outside = (lowest - values).maximum(values - highest)
        far = _places(outside > 0)
        value, distance = values[far], outside[far]
        scale, at_edge, least = (
            each.expand_as(values)[far] for each in (self.scale[:, None], torch.special.ndtri(edge), lowest)
        )
        tail = TAIL_SLOPE * torch.log1p(distance / scale) - at_edge
        normal[far] = torch.where(distance > 0, torch.where(value < least, -tail, tail), normal[far])
        return normal.clamp(-LIMIT, LIMIT)


def reached(knots: Tensor, values: Tensor) -> Tensor:
    """How many of the ascending knots in its row each value reaches, like `torch.searchsorted` with ``right=True``.

    Args:
        knots: ``(dim, K)``.
        values: ``(dim, N)``.

    >>> reached(torch.tensor([[1.0, 2.0, 2.0]]), torch.tensor([[0.0, 1.0, 1.5, 2.0, 9.0]])).tolist()
    [[0, 1, 1, 3, 3]]
    """
    if knots.is_cuda:
        return torch.searchsorted(knots, values, right=True)
    # All values halve their range in lockstep: a search that branches per value spends half its time on mispredictions.
    every, sought = knots.numpy().ravel(), values.numpy()
    left = knots.shape[1]
    first = np.arange(0, every.size, left)[:, None]
    place = np.broadcast_to(first, sought.shape).copy()
    while left > 1:
        half = left // 2
        place += half * (every.take(place + (half - 1)) <= sought)
        left -= half
    return torch.from_numpy(place + (every.take(place) <= sought) - first)


def _places(mask: Tensor) -> Any:
    """Indices where a rare condition holds; everything on a GPU, since computing indices would synchronize with it."""
    return ... if mask.is_cuda else mask.nonzero(as_tuple=True)


def feature_names(columns: Sequence[str], transform: FeatureTransform) -> tuple[str, ...]:
    """The names of a transform's features, given the names of its columns."""
    indicated = [f"{MISSING_NAME}{columns[j]}" for j in transform.indicated.tolist()]
    return (*columns, *indicated, *([f"{MISSING_NAME}values"] if transform.shared else []))


def _fit_column(values: Array, kind: ColumnKind, cardinality: int, rng: np.random.Generator) -> _Distribution:
    present = values[~np.isnan(values)]
    if kind == "category":
        return _fit_categories(present, cardinality)
    if len(present) == 0:
        present = np.zeros(1)
    if kind == "integer":
        present = present + rng.random(len(present))
    return _fit_numbers(np.sort(present))


def _fit_numbers(ordered: Array) -> _Distribution:
    distinct, counts = np.unique(ordered, return_counts=True)
    n = len(ordered)
    atoms = distinct if len(distinct) <= KNOTS // 2 else distinct[counts >= max(2.0, ATOM_SHARE * n)]
    knots = atoms
    if len(distinct) > KNOTS // 2:
        # Even steps of the normal quantile, not of probability: the tails decide how unlikely an outlier is.
        farthest = ndtri(0.5 / n)
        shares = ndtr(np.linspace(farthest, -farthest, KNOTS - min(len(atoms), KNOTS // 2)))
        grid = np.quantile(ordered, np.clip(shares, 0, 1), method="inverted_cdf")
        knots = np.unique(np.concatenate([atoms, grid]))
    below = np.searchsorted(ordered, knots, side="left") / n
    upto = np.searchsorted(ordered, knots, side="right") / n
    smooth = ~np.isin(knots, atoms)
    below[smooth] = upto[smooth] = 0.5 * (below[smooth] + upto[smooth])
    if len(atoms) == len(distinct) and counts.max() < max(2.0, ATOM_SHARE * n):
        below = upto = 0.5 * (below + upto)
    spread = [np.subtract(*np.quantile(ordered, pair)) for pair in ((0.75, 0.25), (1.0, 0.99), (0.01, 0.0))]
    # Only a constant column is scaled by its magnitude: any other far from zero, a timestamp say, would hide outliers.
    scale = max(spread) or ordered[-1] - ordered[0] or max(1e-3 * abs(ordered[0]), 1e-9)
    return _Distribution(knots, below, upto, float(scale), n)


def _fit_categories(values: Array, cardinality: int) -> _Distribution:
    """Known values and one for unseen values; rare and unseen values keep a small share, so they stay improbable."""
    n = len(values)
    counts = np.bincount(np.minimum(values, cardinality).astype(np.int64), minlength=cardinality + 1)
    shares = (counts + 0.5) / (n + 0.5 * (cardinality + 1))
    upto = np.cumsum(shares)
    upto[-1] = 1.0
    below = np.concatenate([[0.0], upto[:-1]])
    return _Distribution(np.arange(cardinality + 1.0), below, upto, 1.0, n)
