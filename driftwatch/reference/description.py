"""Description of samples beside their latents: the descriptors for each kind of sample, and how they are fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftwatch.flows.base import Flow
from driftwatch.flows.features import OUTERMOST
from driftwatch.flows.image import ImageFlow
from driftwatch.flows.vector import VectorFlow
from driftwatch.reference.latents import Latents
from driftwatch.stats.descriptors import (
    INTENSITY,
    LATENT_MOMENTS,
    LAYOUT,
    MARGINALS,
    NUMBERS,
    SPECTRUM,
    VALUES,
    bins_for,
    edges_for,
    image_descriptors,
    latent_moments,
    vector_descriptors,
)
from driftwatch.stats.hotelling import Groups, fit_groups
from driftwatch.stats.moments import times
from driftwatch.stats.single_columns import ColumnStatistic, apart, moved_alone
from driftwatch.stats.summary import Array, Described, Layout, Whitened

PROJECTED = 24
"""Features of which pairs are taken: all features if there are so few, else the directions of largest variance."""

LEAST_WEIGHT = 0.05
"""Least weight of a number of a vector, relative to the typical one: one that never varied may begin to."""

LOCATED = "projection_location"
"""Name of the array in a bundle with `Description.location`, if that is of any width."""

NO_ATOMS = np.empty((0, 2))


@dataclass(frozen=True)
class Description:
    """Describes the samples of one reference.

    Args:
        groups: fitted groups of descriptors.
        projection: of a vector's features, ``(D, k)``; empty for images.
        edges: of the bins of each feature, ``(D, bins - 1)``.
        location: directions of a long vector's numbers, ``(D, k)``, whose means are compared; of zero width for other
            samples, of which means of groups are.
    """

    groups: Groups
    projection: Array
    edges: Array
    location: Array

    def describe(self, flow: Flow, latents: Latents, whitened: Whitened) -> Described:
        """Standard descriptors of samples."""
        standard = self.groups.standard(
            _descriptors(flow, latents, whitened, self.projection, self.edges, self.location)
        )
        return self.restore(standard)

    def restore(self, standard: tuple[Array, ...]) -> Described:
        """The description of samples, given their standard vectors."""
        return Described(standard, self.groups.surprise(standard))

    def layout(self, latent: Layout) -> Layout:
        """Extend a layout of latents by these descriptors."""
        return Layout(latent.dim, latent.blocks, latent.axes, self.groups.shapes, self._columns)

    @property
    def _columns(self) -> tuple[ColumnStatistic, ...]:
        """Statistics of single columns; none if columns are not binned."""
        width = self.edges.shape[1]
        if not width:
            return ()
        places = {group.name: (place, group.whitener) for place, group in enumerate(self.groups.each)}
        return (
            moved_alone(*places[VALUES], width=1),
            moved_alone(*places[MARGINALS], width=width),
            apart(*places[MARGINALS], width=width),
        )

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Named arrays, for a bundle."""
        arrays = {**self.groups.to_arrays(), "projection_pairs": self.projection, "edges": self.edges}
        return arrays | ({LOCATED: self.location} if self.location.size else {})

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.float64]]) -> Description:
        """The inverse of `to_arrays`."""
        groups, projection = Groups.from_arrays(arrays), arrays["projection_pairs"]
        marginals = next((len(group.mean) for group in groups.each if group.name == MARGINALS), 0)
        edges = arrays["edges"] if "edges" in arrays else _equal_shares(len(projection), marginals)
        if edges.ndim != 2 or len(edges) != len(projection) or edges.size != marginals:
            raise ValueError(f"edges are of shape {edges.shape}")
        location = arrays.get(LOCATED, _nowhere(projection))
        if len(location) != len(projection):
            raise ValueError(f"{LOCATED} is of shape {location.shape}")
        return Description(groups, projection, edges, location)


def fit_description(flow: Flow, fitting: tuple[Latents, Whitened], held_out: tuple[Latents, Whitened]) -> Description:
    """Fit a description.

    Args:
        flow: that computed the latents.
        fitting: samples to fit covariances to, which the flow may have been trained on.
        held_out: samples that it was not trained on.
    """
    image, numbers = isinstance(flow, ImageFlow), fitting[0].numbers
    projection = _leading(fitting[0].observed, _weights(flow)) if isinstance(flow, VectorFlow) else np.empty((0, 0))
    atoms = flow.features.atoms() if isinstance(flow, VectorFlow) else ()
    edges = edges_for(atoms, 0 if image else bins_for(len(projection)))
    is_long = numbers.shape[1] > 0 and not edges.shape[1]
    location = _directions(numbers) if is_long else _nowhere(projection)
    groups = fit_groups(
        _descriptors(flow, *fitting, projection, edges, location),
        _descriptors(flow, *held_out, projection, edges, location),
        (LAYOUT, SPECTRUM, INTENSITY) if image else (NUMBERS,) if is_long else (VALUES,),
    )
    return Description(groups, projection, edges, location)


def _equal_shares(columns: int, marginals: int) -> Array:
    """The edges of a bundle of format 3, which does not store them."""
    return edges_for([NO_ATOMS] * columns, marginals // columns + 1 if marginals else 0)


def _descriptors(
    flow: Flow, latents: Latents, whitened: Whitened, projection: Array, edges: Array, location: Array
) -> Mapping[str, Array]:
    if isinstance(flow, ImageFlow):
        observed = image_descriptors(latents.observed, low=flow.low, high=flow.high, noise=flow.noise_width)
    else:
        observed = vector_descriptors(latents.observed, projection, edges)
        if location.shape[1]:
            observed = {**observed, NUMBERS: times(latents.numbers, location)}
    return {LATENT_MOMENTS: latent_moments(whitened.blocks), **observed}


def _weights(flow: VectorFlow) -> Array:
    """How much each feature counts, ``(D,)``, typically 1; those of a table, which share no unit, count alike.

    The numbers of an embedding are comparable, and what sets samples apart may be in a few that vary most, but every
    feature has a variance of 1. So features are weighted by how far the numbers vary.
    """
    if flow.features.shared:
        return np.ones(flow.dim)
    spreads = flow.features.spreads
    typical = max(float(np.sqrt(np.square(spreads).mean())), 1e-300)
    return np.maximum(spreads / typical, LEAST_WEIGHT)


def _leading(values: NDArray[np.floating], weights: Array) -> Array:
    """Directions ``(D, k)`` of largest variance of weighted values ``(N, D)``; the identity if they are few."""
    dim = values.shape[1]
    if dim <= PROJECTED:
        return np.eye(dim)
    centred = (values - values.mean(0)) * weights
    eigenvalues, vectors = np.linalg.eigh(centred.T @ centred)
    leading = np.asarray(vectors[:, np.argsort(eigenvalues)[::-1][:PROJECTED]], dtype=np.float64)
    return weights[:, None] * leading


def _directions(numbers: Array) -> Array:
    """Orthonormal directions ``(D, k)`` in which most numbers ``(N, D)`` vary most, whatever a few outliers do."""
    lowest, highest = np.quantile(numbers, [OUTERMOST, 1.0 - OUTERMOST], axis=0)
    return _leading(np.clip(numbers, lowest, highest), np.ones(numbers.shape[1]))


def _nowhere(projection: Array) -> Array:
    return np.empty((len(projection), 0))
