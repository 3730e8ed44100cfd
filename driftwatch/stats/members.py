"""Which statistics the combined one joins, and which of them count as one.

Each coordinate costs the others some of their power, so there are few, those that left least behind the best single
detector over shifts of four materials, strong and faint ones (benchmarks/NOTES.md). Of rows: the divergence, the
geometry, Hotelling's statistic of all descriptors, the mean NLL, where the values lie, and what single columns do, each
by itself. Of images, whose likelihood is no alarm: the divergence with the latents' moments, the geometry, how
surprising the samples are one by one, their intensities, their spectrum, and where they are bright. A single image's
surprise is a function of all its descriptors, and it has nothing to agree with.
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

Joined = tuple[tuple[str, ...], ...]
"""Names of the statistics of each coordinate."""

ONE_IMAGE: Joined = ((KL,), (GEOMETRY, LATENT_MOMENTS), (MOMENTS,), (LAYOUT,), (SPECTRUM,))
IMAGES: Joined = (
    (KL, LATENT_MOMENTS),
    (GEOMETRY,),
    (SURPRISE,),
    (INTENSITY,),
    (SPECTRUM,),
    (LAYOUT, LOCATION, AGREEMENT),
)
ROWS: Joined = ((KL,), (GEOMETRY,), (MOMENTS,), (NLL,), (LOCATION,))


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
    if LAYOUT in groups:
        joined = ONE_IMAGE if size == 1 else IMAGES
    elif layout.columns:
        joined = (*ROWS, *((single_column(number),) for number in range(len(layout.columns))))
    else:
        joined = (*ROWS, (VALUES,), (PAIRS,))
    missing = {LATENT_MOMENTS, LAYOUT, SPECTRUM, INTENSITY, VALUES, PAIRS, LOCATION, AGREEMENT} - groups
    names: list[str] = []
    coordinates = []
    for wanted in joined:
        there = [name for name in wanted if name not in missing]
        coordinates.append(tuple(range(len(names), len(names) + len(there))))
        names += there
    return Members(tuple(names), tuple(coordinates))
