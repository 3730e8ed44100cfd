"""The null of windows of one size: the statistics of all detectors, and their p-values.

Source: METHOD.md, "From statistic to alarm". `driftwatch.stats.members` lists the statistics that are combined.

Bundles store nulls: raise `driftwatch.reference.stored_null.FORMAT` when you change what is measured or combined here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.combination import Combination, fit_combination
from driftwatch.stats.decomposition import PARTS, Decomposition, decompose
from driftwatch.stats.descriptors import PRODUCTS
from driftwatch.stats.effect import EffectSize, bounds, fit_effect_size
from driftwatch.stats.geometry import geometry
from driftwatch.stats.hotelling import COPIES, hotelling
from driftwatch.stats.members import GEOMETRY, KL, MOMENTS, NLL, SURPRISE, Members, members_for, single_column
from driftwatch.stats.moments import times
from driftwatch.stats.summary import Array, Layout
from driftwatch.stats.tail import Tail, fit_tail

Columns = NDArray[np.intp]

DETECTORS = ("combined", KL, GEOMETRY, MOMENTS, NLL, "typicality")
GEOMETRY_PARTS = ("cosine", "location", "axes", "radius")

UNKNOWN = "axes"
"""The part of the geometry that too few held-out samples determine for large windows. Where the axes of the data are
much alike, their uncertainty makes any two projections differ more than they do, so that large windows looked too much
alike: windows of 50,000, with 5,000 + 5,000 held-out samples, by 2 to 8 null deviations."""

LEAST_RADIUS = 1e-3
"""Radius assigned to windows whose estimate is not positive; few windows of two one-dimensional samples have less."""

LEAST_DEVIATION = 1e-3
"""Least null standard deviation of a feature that is a logarithm. Features that vary less differ only by rounding, such
as the length of the directions of single samples, which is always 1."""


@dataclass(frozen=True)
class Features:
    """Measurements of ``M`` windows, before any calibration.

    Args:
        values: ``(M, F)``: log of each part of each block, the geometry, the mean NLL, the mean surprise, and the log
            of Hotelling's statistic of each group.
        decomposition: the parts in nats.
        nll: mean negative log-likelihood, ``(M,)``, nats per sample.
        hotelling: Hotelling's statistic of each group, ``(M, G)``.
        columns: each single-column statistic, of the column where it is largest, ``(M, C)``.
    """

    values: Array
    decomposition: Decomposition
    nll: Array
    hotelling: Array
    columns: Array

    def of(self, windows: Sequence[int]) -> Features:
        """The measurements of some of the windows."""
        return Features(
            self.values[windows],
            Decomposition(self.decomposition.parts[windows]),
            self.nll[windows],
            self.hotelling[windows],
            self.columns[windows],
        )


def features(summaries: Array, layout: Layout) -> Features:
    """Measure windows, given as summaries ``(M, V)``."""
    parts = decompose(summaries, layout)
    shape = geometry(summaries, layout)
    # Shifting a null window to another mean can make the sum of squares of a few samples near the centre negative.
    radius = np.where(shape.radius > 0.0, shape.radius, LEAST_RADIUS)
    nll = summaries[:, 2] / summaries[:, 0]
    squares = hotelling(summaries, layout)
    columns = [
        np.log(parts.parts.reshape(len(summaries), -1) + 1e-6),
        np.stack([shape.cosine, shape.location, shape.axes, np.log(radius)], axis=1),
        nll[:, None],
        summaries[:, layout.surprise, None] / summaries[:, :1],
        np.log(squares + 1e-6),
    ]
    single = [each(summaries[:, layout.group_slices[each.group]], summaries[:, 0]) for each in layout.columns]
    alone = np.stack(single, axis=1) if single else np.empty((len(summaries), 0))
    return Features(np.concatenate(columns, axis=1), parts, nll, squares, alone)


@dataclass(frozen=True)
class Distance:
    """A Mahalanobis distance, fitted to draws of the null.

    Args:
        columns: the features it uses.
        centre: their null mean, ``(F',)``.
        whitener: maps centred features to independent ones of variance 1, ``(F', R)``.
    """

    columns: Columns
    centre: Array
    whitener: Array

    def __call__(self, values: Array) -> Array:
        return np.asarray(np.square(times(values[:, self.columns] - self.centre, self.whitener)).sum(1))


def fit_distance(values: Array, columns: Columns) -> Distance:
    """Fit a `Distance` to null features ``(M, F)``; features that never vary are left out."""
    chosen = values[:, columns]
    scale = chosen.std(0)
    columns = columns[scale > 1e-12]
    chosen = values[:, columns]
    centre, scale = chosen.mean(0), chosen.std(0)
    eigenvalues, vectors = np.linalg.eigh(np.corrcoef(chosen, rowvar=False).reshape(len(columns), -1))
    kept = eigenvalues > 1e-6
    whitener = (vectors[:, kept] / np.sqrt(eigenvalues[kept])) / scale[:, None]
    return Distance(columns, centre, whitener)


@dataclass(frozen=True)
class Tested:
    """Calibrated results of ``M`` windows of one size.

    Args:
        statistics: of each detector, ``(M,)``.
        p_values: of each detector, ``(M,)``.
        features: the measurements that both were computed from.
        effect: debiased distance from the reference, nats per sample, ``(M,)`` (see `driftwatch.stats.effect`).
        deviations: each feature's distance from its null mean, in null standard deviations, ``(M, F)``; 0 for features
            that the geometry leaves out.
    """

    statistics: Mapping[str, Array]
    p_values: Mapping[str, Array]
    features: Features
    effect: Array
    deviations: Array


@dataclass(frozen=True)
class Statistics:
    """Computes the detectors' statistics from features.

    Args:
        geometry: distance over the geometric features.
        nll_centre: the reference's mean NLL, nats.
        groups: names of all groups.
        whole: the groups whose Hotelling statistics add up to that of all descriptors.
        members: selects the statistics that are combined.
        combination: combines them.
    """

    geometry: Distance
    nll_centre: float
    groups: tuple[str, ...]
    whole: Columns
    members: Members
    combination: Combination

    def __call__(self, measured: Features) -> dict[str, Array]:
        """The statistic of each detector for ``M`` windows, ``(M,)``; larger means more drift, except for the NLL."""
        single = singly(measured, self.geometry, self.nll_centre, self.whole)
        return {"combined": self.combination(self.members(by_name(single, measured, self.groups))), **single}


def singly(measured: Features, geometry: Distance, nll_centre: float, whole: Columns) -> dict[str, Array]:
    """The statistics of all detectors except the combined one (see `Statistics`)."""
    return {
        KL: measured.decomposition.total,
        GEOMETRY: geometry(measured.values),
        MOMENTS: measured.hotelling[:, whole].sum(1),
        NLL: measured.nll,
        "typicality": np.abs(measured.nll - nll_centre),
    }


def by_name(single: Mapping[str, Array], measured: Features, groups: Sequence[str]) -> dict[str, Array]:
    """All statistics that the combined detector may use, ``(M,)`` each, those of the other detectors among them."""
    return {
        **single,
        SURPRISE: _surprise(measured),
        **dict(zip(groups, measured.hotelling.T, strict=True)),
        **{single_column(number): column for number, column in enumerate(measured.columns.T)},
    }


@dataclass(frozen=True)
class WindowNull:
    """The null distribution of windows of `size` samples.

    Args:
        size: samples in a window.
        layout: of the summaries it tests.
        statistics: computes the detectors' statistics from features.
        tails: the null of each detector's statistic.
        mean: null mean of each feature, ``(F,)``.
        deviation: null standard deviation of each feature, ``(F,)``.
        effect_size: the null of the effect.
        parts_mean: null mean of each part of each block, ``(S, 3)``.
    """

    size: int
    layout: Layout
    statistics: Statistics
    tails: Mapping[str, Tail]
    mean: Array
    deviation: Array
    effect_size: EffectSize
    parts_mean: Array

    def test(self, summaries: Array) -> Tested:
        """Test windows, given as summaries ``(M, V)``."""
        return self.judge(features(summaries, self.layout))

    def judge(self, measured: Features) -> Tested:
        """Test windows whose features were measured before."""
        statistics = self.statistics(measured)
        deviations = (measured.values - self.mean) / self.deviation
        deviations[:, self._left_out] = 0.0
        return Tested(
            statistics=statistics,
            p_values={name: self.tails[name].p_value(value) for name, value in statistics.items()},
            features=measured,
            effect=self.effect_size(_bounds(measured, self.layout, self.size)),
            deviations=deviations,
        )

    @cached_property
    def _left_out(self) -> list[int]:
        """Geometric features that the statistic ignores: they are no sign of drift, so they must not explain one."""
        first = len(self.layout.blocks) * len(PARTS)
        return sorted({*range(first, first + len(GEOMETRY_PARTS))} - {*self.statistics.geometry.columns.tolist()})


def join(measured: Sequence[Features]) -> Features:
    """The features of several sets of windows, one after another."""
    return Features(
        np.concatenate([part.values for part in measured]),
        Decomposition(np.concatenate([part.decomposition.parts for part in measured])),
        np.concatenate([part.nll for part in measured]),
        np.concatenate([part.hotelling for part in measured]),
        np.concatenate([part.columns for part in measured]),
    )


def fit_window_null(measured: Features, layout: Layout, size: int, *, large: bool = False) -> WindowNull:
    """Fit the null of windows of `size` samples to the features of ``M`` such null windows.

    `large`: whether the windows are large relative to the held-out samples (see `driftwatch.stats.large`).
    """
    values = measured.values
    first = len(layout.blocks) * len(PARTS)
    least = np.full(values.shape[1], LEAST_DEVIATION)
    least[first : values.shape[1] - len(layout.groups)] = 1e-12
    known = [place for place, part in enumerate(GEOMETRY_PARTS) if not (large and part == UNKNOWN)]
    geometry = fit_distance(values, first + np.array(known, dtype=np.intp))
    nll_centre = float(measured.nll.mean())
    groups = tuple(name for name, _ in layout.groups)
    whole = np.array([g for g, name in enumerate(groups) if name not in COPIES], dtype=np.intp)
    members = members_for(layout, size)
    joined = members(by_name(singly(measured, geometry, nll_centre, whole), measured, groups))
    combination = fit_combination(joined, members.coordinates)
    statistics = Statistics(geometry, nll_centre, groups, whole, members, combination)
    return WindowNull(
        size=size,
        layout=layout,
        statistics=statistics,
        tails={name: fit_tail(value) for name, value in statistics(measured).items()},
        mean=values.mean(0),
        deviation=np.maximum(values.std(0), least),
        effect_size=fit_effect_size(_bounds(measured, layout, size)),
        parts_mean=measured.decomposition.parts.mean(0),
    )


def _surprise(measured: Features) -> Array:
    """The mean surprise of each window's samples, ``(M,)``."""
    return np.asarray(measured.values[:, -1 - measured.hotelling.shape[1]])


def _bounds(measured: Features, layout: Layout, size: int) -> Array:
    """The lower bounds whose largest is the effect, ``(M, E)``."""
    located = [g for g, (name, _) in enumerate(layout.groups) if name not in (*COPIES, *PRODUCTS)]
    return bounds(measured.decomposition.total, measured.hotelling[:, located], _surprise(measured), size)
