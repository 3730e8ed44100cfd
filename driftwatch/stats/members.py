"""Which statistics the combined detector uses, and which of them share a coordinate.

Each coordinate costs the others some power, so there are only those that, over strong and faint shifts of four data
sets, lost least against the best single detector (benchmarks/NOTES.md). For rows: the divergence, the geometry,
Hotelling's statistic of all descriptors, the mean NLL, the location of the values, and each single-column statistic.
For images, whose likelihood is no alarm: the divergence with the latent moments, the geometry, the surprise of single
samples, intensity, spectrum, layout, and location with agreement, which weigh more. The surprise of a single image is a
function of its other descriptors, and a single image has nothing to agree with, so both are left out there.
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
"""Statistics available for every window; the others are Hotelling's statistics of groups, by the group's name."""

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
    """The statistics that are combined.

    Args:
        names: of the statistics.
        coordinates: which of them share a coordinate.
    """

    names: tuple[str, ...]
    coordinates: tuple[Coordinate, ...]

    def __call__(self, statistics: Mapping[str, Array]) -> Array:
        """Select the combined statistics of ``M`` windows, ``(M, J)``."""
        return np.column_stack([statistics[name] for name in self.names])


def single_column(number: int) -> str:
    """The name of a single-column statistic, by its number in the layout."""
    return f"column {number}"


def members_for(layout: Layout, size: int) -> Members:
    """The statistics to combine for windows of `size` images or rows."""
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
        available = [name for name in wanted if name in known]
        coordinates.append(Coordinate(tuple(range(len(names), len(names) + len(available))), weight))
        names += available
    return Members(tuple(names), tuple(coordinates))
