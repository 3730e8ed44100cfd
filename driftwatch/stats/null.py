"""The null of windows of one size: statistics of every detector, and the p-values they mean.

Source: METHOD.md, "From statistic to alarm". The combined statistic is the Mahalanobis distance of the vector of
all parts of all detectors from its null mean: it is two-sided in every part, and knows how they move together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.decomposition import PARTS, Decomposition, decompose
from driftwatch.stats.geometry import geometry
from driftwatch.stats.summary import Array, Layout
from driftwatch.stats.tail import Tail, fit_tail

Columns = NDArray[np.intp]

DETECTORS = ("combined", "kl", "geometry", "nll", "typicality")
GEOMETRY_PARTS = ("cosine", "location", "axes", "radius")


@dataclass(frozen=True)
class Features:
    """What is measured of ``M`` windows before any calibration.

    Args:
        values: ``(M, F)``: log of each part of each block, the geometry, the mean NLL.
        decomposition: the parts in nats.
        nll: mean negative log-likelihood, ``(M,)``, nats per sample.
    """

    values: Array
    decomposition: Decomposition
    nll: Array


def features(summaries: Array, layout: Layout) -> Features:
    """Measures windows, given as summaries ``(M, V)``."""
    parts = decompose(summaries, layout)
    shape = geometry(summaries, layout)
    nll = summaries[:, 2] / summaries[:, 0]
    columns = [
        np.log(parts.parts.reshape(len(summaries), -1) + 1e-6),
        np.stack([shape.cosine, shape.location, shape.axes, np.log(shape.radius)], axis=1),
        nll[:, None],
    ]
    return Features(np.concatenate(columns, axis=1), parts, nll)


@dataclass(frozen=True)
class Distance:
    """A Mahalanobis distance, fitted to draws of the null.

    Args:
        columns: which features it looks at.
        centre: their null mean, ``(F',)``.
        whitener: maps centred features to independent ones of variance 1, ``(F', R)``.
    """

    columns: Columns
    centre: Array
    whitener: Array

    def __call__(self, values: Array) -> Array:
        return np.asarray(np.square((values[:, self.columns] - self.centre) @ self.whitener).sum(1))


def fit_distance(values: Array, columns: Columns) -> Distance:
    """Fits a `Distance` to null features ``(M, F)``; features that never vary are left out."""
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
        features: what they were computed from.
        effect: debiased divergence, nats per sample, ``(M,)``.
        deviations: by how many null standard deviations each feature is off, ``(M, F)``.
    """

    statistics: Mapping[str, Array]
    p_values: Mapping[str, Array]
    features: Features
    effect: Array
    deviations: Array


@dataclass(frozen=True)
class WindowNull:
    """The null distribution of windows of `size` samples.

    Args:
        size: samples in a window.
        layout: of the summaries it tests.
        combined: distance over all features.
        geometry: distance over the geometric features.
        nll_centre: the reference's mean NLL, nats.
        tails: the null of each detector's statistic.
        mean: null mean of each feature, ``(F,)``.
        deviation: null standard deviation of each feature, ``(F,)``.
        kl_mean: null mean of the KL score, nats per sample: its bias at this size.
        kl_deviation: its null standard deviation.
        parts_mean: null mean of each part of each block, ``(S, 3)``.
    """

    size: int
    layout: Layout
    combined: Distance
    geometry: Distance
    nll_centre: float
    tails: Mapping[str, Tail]
    mean: Array
    deviation: Array
    kl_mean: float
    kl_deviation: float
    parts_mean: Array

    def test(self, summaries: Array) -> Tested:
        """Tests windows, given as summaries ``(M, V)``."""
        return self.judge(features(summaries, self.layout))

    def judge(self, measured: Features) -> Tested:
        """Tests windows that were measured before."""
        statistics = _statistics(measured, self.combined, self.geometry, self.nll_centre)
        return Tested(
            statistics=statistics,
            p_values={name: self.tails[name].p_value(value) for name, value in statistics.items()},
            features=measured,
            effect=measured.decomposition.total - self.kl_mean,
            deviations=(measured.values - self.mean) / self.deviation,
        )


def join(measured: Sequence[Features]) -> Features:
    """The features of several sets of windows, one after another."""
    return Features(
        np.concatenate([part.values for part in measured]),
        Decomposition(np.concatenate([part.decomposition.parts for part in measured])),
        np.concatenate([part.nll for part in measured]),
    )


def fit_window_null(measured: Features, layout: Layout, size: int) -> WindowNull:
    """Fits the null of windows of `size` samples from the features of ``M`` draws of it."""
    values = measured.values
    first = len(layout.blocks) * len(PARTS)
    everything = np.arange(values.shape[1])
    combined = fit_distance(values, everything)
    shape = fit_distance(values, everything[first : first + len(GEOMETRY_PARTS)])
    nll_centre = float(measured.nll.mean())
    statistics = _statistics(measured, combined, shape, nll_centre)
    total = measured.decomposition.total
    return WindowNull(
        size=size,
        layout=layout,
        combined=combined,
        geometry=shape,
        nll_centre=nll_centre,
        tails={name: fit_tail(value) for name, value in statistics.items()},
        mean=values.mean(0),
        deviation=np.maximum(values.std(0), 1e-12),
        kl_mean=float(total.mean()),
        kl_deviation=float(total.std()),
        parts_mean=measured.decomposition.parts.mean(0),
    )


def feature_names(block_names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the features, in the order of `Features.values`."""
    parts = [f"{part} of {block}" for block in block_names for part in PARTS]
    return (*parts, *(f"{part} of the latent" for part in GEOMETRY_PARTS), "negative log-likelihood")


def _statistics(measured: Features, combined: Distance, shape: Distance, nll_centre: float) -> dict[str, Array]:
    return {
        "combined": combined(measured.values),
        "kl": measured.decomposition.total,
        "geometry": shape(measured.values),
        "nll": measured.nll,
        "typicality": np.abs(measured.nll - nll_centre),
    }
