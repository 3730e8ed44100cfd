"""Which statistics the combined one joins, and which of them count as one.

Each coordinate costs the others some of their power, so there are few, those that left least behind the best single
detector over shifts of four materials, strong and faint ones (benchmarks/NOTES.md). Of rows: the divergence, the
geometry, Hotelling's statistic of all descriptors, the mean NLL, where the values lie, and what single columns do, each
by itself. Of images, whose likelihood is no alarm: the divergence with the latents' moments, the geometry, how
surprising the samples are one by one, their intensities, their spectrum, their layout, and location with agreement,
which count more. A single image's surprise is a function of all its descriptors, and it has nothing to agree with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from driftwatch.stats.combination import Coordinate
from driftwatch.stats.descriptors import INTENSITY, LATENT_MOMENTS, LAYOUT, PAIRS, SPECTRUM, VALUES
from driftwatch.stats.hotelling import AGREEMENT, LOCATION
from driftwatch.stats.summary import Array, Layout

KL, GEOMETRY, MOMENTS, NLL, SURPRISE = "kl", "geometry", "moments", "nll", "surprise"
"""Statistics that there are of any window; the others are Hotelling's of groups, by their names."""

Joined = tuple[tuple[tuple[str, ...], float], ...]
"""Names of the statistics of each coordinate, and its weight."""

ONE_IMAGE: Joined = (((KL,), 1), ((GEOMETRY, LATENT_MOMENTS), 1), ((MOMENTS,), 1), ((LAYOUT,), 1), ((SPECTRUM,), 1))
IMAGES: Joined = (
    ((KL, LATENT_MOMENTS), 1),
    ((GEOMETRY,), 1),
    ((SURPRISE,), 1),
    ((INTENSITY,), 1),
    ((SPECTRUM,), 1),
    ((LAYOUT,), 1),
    ((LOCATION, AGREEMENT), 1.5),
)
ROWS: Joined = (((KL,), 1), ((GEOMETRY,), 1), ((MOMENTS,), 1), ((NLL,), 1), ((LOCATION,), 1))


@dataclass(frozen=True)
class Members:
    """The statistics that the combined one is made of.

    Args:
        names: of the statistics.
        coordinates: which of them count as one.
    """

    names: tuple[str, ...]
    coordinates: tuple[Coordinate, ...]

    def __call__(self, statistics: Mapping[str, Array]) -> Array:
        """Of statistics of ``M`` windows by name, those that are joined, ``(M, J)``."""
        return np.column_stack([statistics[name] for name in self.names])


def single_column(number: int) -> str:
    """The name of a statistic of single columns, of which a layout may have several."""
    return f"column {number}"


def members_for(layout: Layout, size: int) -> Members:
    """What is combined of windows of `size` images, or rows."""
    groups = {name for name, _ in layout.groups}
    columns = [single_column(number) for number in range(len(layout.columns))]
    if LAYOUT in groups:
        joined = ONE_IMAGE if size == 1 else IMAGES
    elif columns:
        joined = (*ROWS, *(((column,), 1) for column in columns))
    else:
        joined = (*ROWS, ((VALUES,), 1), ((PAIRS,), 1))
    known = {KL, GEOMETRY, MOMENTS, NLL, SURPRISE, *groups, *columns}
    names: list[str] = []
    coordinates = []
    for wanted, weight in joined:
        there = [name for name in wanted if name in known]
        coordinates.append(Coordinate(tuple(range(len(names), len(names) + len(there))), weight))
        names += there
    return Members(tuple(names), tuple(coordinates))
