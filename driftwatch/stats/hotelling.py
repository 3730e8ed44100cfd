"""Hotelling's T-squared of a window's mean descriptors, by group, and the surprise of each single sample.

References:
    Hotelling, "The generalization of Student's ratio" (1931).
    Fisher, "Statistical methods for research workers" (1925): p-values combined by the sum of their logarithms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from driftwatch.stats.descriptors import NUMBERS
from driftwatch.stats.moments import CLIPPED_SHARE, shorten, times
from driftwatch.stats.summary import Array, Layout, namespace
from driftwatch.stats.tail import Tail, fit_tail

LOCATION = "location"
"""A group that copies others, scaled but not whitened, so it looks most closely where the reference varies most."""

AGREEMENT = "agreement"
"""A copy of `LOCATION` of which only directions count: samples that resemble each other point the same way, however
typical each of them is."""

COPIES = (LOCATION, AGREEMENT)

FLOOR = 0.05
MOST_SURPRISE = -float(np.log(CLIPPED_SHARE))


@dataclass(frozen=True)
class Group:
    """A group of descriptors, and how to standardize it by the reference.

    Args:
        name: as shown to users.
        sources: the descriptors it consists of, in order.
        mean: the reference's, ``(K,)``.
        whitener: maps centred descriptors to standard ones, ``(K, K')``.
        limit: greatest length of a standard vector; longer ones are shortened (see `driftwatch.stats.moments`).
    """

    name: str
    sources: tuple[str, ...]
    mean: Array
    whitener: Array
    limit: float

    def standard(self, descriptors: Mapping[str, Array]) -> Array:
        """Standardize the descriptors of samples, ``(N, K')``."""
        centred = _together(descriptors, self.sources) - self.mean
        standard = times(centred, self.whitener) if self._scales is None else centred * self._scales
        return shorten(standard, self.limit)

    @cached_property
    def _scales(self) -> Array | None:
        """The diagonal of a diagonal whitener, as copies have; None for others, and on a GPU."""
        scales = np.diagonal(self.whitener) if isinstance(self.whitener, np.ndarray) else None
        return scales if scales is not None and np.array_equal(np.diag(scales), self.whitener) else None


@dataclass(frozen=True)
class Groups:
    """All groups of a reference.

    Args:
        each: the groups; `COPIES` are the last ones.
        null: of the point score of reference samples (see `point_score`).
    """

    each: tuple[Group, ...]
    null: Tail

    @property
    def shapes(self) -> tuple[tuple[str, int], ...]:
        """Name and dimensions of each group, in the form that `Layout` takes."""
        return tuple((group.name, group.whitener.shape[1]) for group in self.each)

    def standard(self, descriptors: Mapping[str, Array]) -> tuple[Array, ...]:
        """Standard vectors of samples, ``(N, K'_g)`` each."""
        return tuple(group.standard(descriptors) for group in self.each)

    def surprise(self, standard: tuple[Array, ...]) -> Array:
        """``-ln p`` of each sample's point score, nats, ``(N,)``; bounded, so that no sample decides a window alone."""
        xp = namespace(standard[0])
        surprise: Array = (-xp.log(self.null.p_value(point_score(standard)))).clip(max=MOST_SURPRISE)
        return surprise

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Named arrays, for a bundle."""
        arrays: dict[str, NDArray[np.float64]] = {
            "point_null": np.concatenate([[self.null.share, self.null.shape, self.null.scale], self.null.quantiles])
        }
        for group in self.each:
            key = f"group.{'+'.join(group.sources)}.{group.name}"
            arrays |= {f"{key}.mean": group.mean, f"{key}.limit": np.array([group.limit])}
            arrays[f"{key}.whitener"] = group.whitener
        return arrays

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.float64]]) -> Groups:
        """The inverse of `to_arrays`."""
        keys = [name.removesuffix(".mean") for name in arrays if name.startswith("group.") and name.endswith(".mean")]
        each = []
        for key in keys:
            _, sources, name = key.split(".")
            limit = float(arrays[f"{key}.limit"][0])
            each.append(Group(name, tuple(sources.split("+")), arrays[f"{key}.mean"], arrays[f"{key}.whitener"], limit))
        each.sort(key=lambda group: (COPIES.index(group.name) if group.name in COPIES else -1, group.name))
        share, shape, scale, *quantiles = arrays["point_null"]
        return Groups(tuple(each), Tail(np.array(quantiles), float(share), float(shape), float(scale)))


def fit_groups(fitting: Mapping[str, Array], held_out: Mapping[str, Array], located: Sequence[str]) -> Groups:
    """Fit the groups of descriptors to a reference.

    Whitening only sets how much each direction counts, so it may be fitted to the flow's training data. Means and
    limits decide how far off a window is, so they are fitted to held-out data.

    Args:
        fitting: descriptors to fit covariances to, ``(N, K)`` by group.
        held_out: descriptors of held-out samples, likewise.
        located: what `LOCATION` and `AGREEMENT` copy, groups or `NUMBERS`, which are in no other group; all of them
            count equally.
    """
    sources = tuple(located)
    scaled = np.diag(np.concatenate([_scales(fitting[name]) for name in sources]))
    each = [
        *(_fit(name, (name,), held_out, _whitener(fitting[name])) for name in sorted(fitting) if name != NUMBERS),
        _fit(LOCATION, sources, held_out, scaled),
        _directions(sources, held_out, scaled),
    ]
    return Groups(tuple(each), fit_tail(point_score([group.standard(held_out) for group in each])))


def point_score(standard: Sequence[Array]) -> Array:
    """The squared length of each sample's standard vectors over all groups except the copies, ``(N,)``."""
    xp = namespace(standard[0])
    squares = [xp.sum(xp.square(y), axis=1) for y in standard[: -len(COPIES)]]
    total: Array = sum(squares[1:], start=squares[0])
    return total


def hotelling(values: Array, layout: Layout) -> Array:
    """``n |mean y|^2`` of each group, ``(M, G)``; under the reference, about the group's number of dimensions.

    Args:
        values: summaries of ``M`` windows, ``(M, V)``.
        layout: of the summaries.
    """
    squares = [np.square(values[:, place]).sum(1) for place in layout.group_slices]
    return np.stack(squares, axis=1) / values[:, :1] if squares else np.empty((len(values), 0))


def _together(descriptors: Mapping[str, Array], sources: Sequence[str]) -> Array:
    taken = [descriptors[source] for source in sources]
    together: Array = namespace(taken[0]).concat(taken, axis=1) if len(taken) > 1 else taken[0]
    return together


def _scales(descriptors: Array) -> Array:
    """One factor, repeated to ``(K,)``, that scales the mean squared distance from the mean to 1."""
    spread = max(float(np.sqrt(descriptors.var(0).sum())), 1e-12)
    return np.full(descriptors.shape[1], 1.0 / spread)


def _lengths(held_out: Mapping[str, Array], sources: tuple[str, ...], whitener: Array) -> tuple[Array, Array]:
    """The mean of held-out descriptors, ``(K,)``, and the length of each standard vector, ``(N,)``."""
    taken = _together(held_out, sources)
    mean = taken.mean(0)
    return mean, np.linalg.norm(times(taken - mean, whitener), axis=1)


def _fit(name: str, sources: tuple[str, ...], held_out: Mapping[str, Array], whitener: Array) -> Group:
    # The limit comes from held-out samples: one in a thousand of those that were fitted to is not as far out.
    mean, lengths = _lengths(held_out, sources, whitener)
    return Group(name, sources, mean, whitener, float(np.quantile(lengths, 1.0 - CLIPPED_SHARE)))


def _directions(sources: tuple[str, ...], held_out: Mapping[str, Array], scaled: Array) -> Group:
    """A group whose standard vectors all have length 1, except for those of the most average samples."""
    mean, lengths = _lengths(held_out, sources, scaled)
    shortest = float(np.quantile(lengths, CLIPPED_SHARE))
    return Group(AGREEMENT, sources, mean, scaled / max(shortest, 1e-12), 1.0)


def _whitener(descriptors: Array) -> Array:
    """A whitener, ``(K, K)``, from correlations that are shrunk towards zero, more so for fewer samples."""
    n, count = descriptors.shape
    deviation = descriptors.std(0)
    typical = float(np.sqrt(np.square(deviation).mean()))
    # Descriptors that never varied in the reference would otherwise have unlimited weight as soon as they vary.
    deviation = np.where(deviation > 1e-6 * typical, deviation, max(FLOOR * typical, 1e-12))
    scaled = (descriptors - descriptors.mean(0)) / deviation
    shrinkage = count / (count + n)
    correlation = (1 - shrinkage) * scaled.T @ scaled / n
    np.fill_diagonal(correlation, 1.0)  # including descriptors without variance
    eigenvalues, vectors = np.linalg.eigh(correlation)
    return np.asarray((vectors / np.sqrt(eigenvalues)) @ vectors.T / deviation[:, None])
