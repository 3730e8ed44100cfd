"""Which statistics are combined depends on what is watched, and each joined statistic counts in one coordinate."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.stats.descriptors import INTENSITY, LATENT_MOMENTS, LAYOUT, MARGINALS, PAIRS, SPECTRUM, VALUES
from driftwatch.stats.hotelling import AGREEMENT, LOCATION
from driftwatch.stats.members import SURPRISE, members_for
from driftwatch.stats.single_columns import ColumnStatistic
from driftwatch.stats.summary import Layout

IMAGES = (INTENSITY, LATENT_MOMENTS, LAYOUT, SPECTRUM, LOCATION, AGREEMENT)
PICTURES = ((SURPRISE,), (INTENSITY,), (SPECTRUM,), (LAYOUT,), (LOCATION, AGREEMENT))
ROWS = (("kl",), ("geometry",), ("moments",), ("nll",), (LOCATION,))
TABLES = (LATENT_MOMENTS, MARGINALS, PAIRS, VALUES, LOCATION, AGREEMENT)


@pytest.mark.parametrize(
    ("groups", "columns", "size", "joined"),
    [
        (IMAGES, 0, 5, [("kl", LATENT_MOMENTS), ("geometry",), *PICTURES]),
        (IMAGES, 0, 1, [("kl",), ("geometry", LATENT_MOMENTS), ("moments",), (LAYOUT,), (SPECTRUM,)]),
        (TABLES, 2, 5, [*ROWS, ("column 0",), ("column 1",)]),
        (TABLES, 0, 1, [*ROWS, (VALUES,), (PAIRS,)]),
        ((LATENT_MOMENTS, LOCATION), 0, 5, [*ROWS]),
    ],
    ids=["images", "single images", "tables", "many columns", "few groups"],
)
def test_the_combined_statistics_depend_on_what_is_watched(
    groups: tuple[str, ...], columns: int, size: int, joined: list[tuple[str, ...]]
) -> None:
    column_statistics = (ColumnStatistic(1, np.eye(2), 1),) * columns
    layout = Layout(
        dim=2, blocks=((1, 2),), axes=2, groups=tuple((name, 2) for name in groups), columns=column_statistics
    )
    members = members_for(layout, size)
    found = [tuple(members.names[place] for place in each.columns) for each in members.coordinates]
    assert [names for names in found if names] == joined
    assert [place for each in members.coordinates for place in each.columns] == list(range(len(members.names)))


def test_statistics_are_taken_by_name_in_the_order_of_the_coordinates() -> None:
    layout = Layout(dim=2, blocks=((1, 2),), axes=2, groups=((LATENT_MOMENTS, 2), (LOCATION, 2)))
    members = members_for(layout, 50)
    known = {name: np.full(3, float(number)) for number, name in enumerate((*members.names, "typicality"))}
    np.testing.assert_array_equal(members(known), np.tile(np.arange(len(members.names), dtype=float), (3, 1)))
