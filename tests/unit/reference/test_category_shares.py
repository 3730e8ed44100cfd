"""The categories whose share moved most are named, with the share of rows that have them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from driftwatch.data.schema import Column, TableSchema, digests
from driftwatch.reference.category_shares import _listed
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.reference.train_config import FlowConfig
from driftwatch.stats.descriptors import edges_for
from driftwatch.stream.findings import moved
from tests.whitening import whitening_reference

CITIES = tuple(f"c{n:02}" for n in range(40))
OTHER = len(CITIES)
SCHEMA = TableSchema(
    columns=(
        Column(name="amount", kind="numeric"),
        Column(name="city", kind="category", categories=CITIES, others=(digests(["Hof", "Ulm"]),)),
        Column(name="member", kind="category", categories=("false", "true")),
    )
)
WEIGHTS = np.r_[0.2, 0.16, np.full(38, 0.44 / 38), 0.2]
ROWS = 2_000


def rows(count: int, seed: int, weights: np.ndarray = WEIGHTS, member: float = 0.3) -> np.ndarray:
    """A fifth of the rows have other cities, a fifth the first one; in 3 % of the rows the city is missing."""
    rng = np.random.default_rng(seed)
    city = rng.choice(len(weights), count, p=weights / weights.sum()).astype(float)
    city[rng.random(count) < 0.03] = np.nan
    return np.column_stack([rng.normal(size=count), city, rng.random(count) < member])


@pytest.fixture(scope="module")
def shops() -> Reference:
    """A reference whose flow only whitens."""
    return whitening_reference("shops", SCHEMA, rows, FlowConfig(layers=2, hidden=8))


def phrases_of(reference: Reference, table: np.ndarray) -> list[str]:
    summary = Scorer(reference, batch_size=256).bank(table).sum(0, dtype=np.float64)
    return moved(summary[None], reference)[0]


def weighted(place: int, times: float) -> np.ndarray:
    weights = WEIGHTS.copy()
    weights[place] *= times
    return weights


@pytest.mark.parametrize(
    ("place", "times", "named"),
    [(0, 2.0, "c00"), (0, 0.0, "c00"), (1, 0.1, "c01 or c02"), (OTHER, 2.0, "other values")],
)
def test_the_category_that_moved_is_named(shops: Reference, place: int, times: float, named: str) -> None:
    for seed in range(2, 12):
        table = rows(ROWS, seed, weighted(place, times))
        (phrase,) = phrases_of(shops, table)
        found = re.fullmatch(rf"city is {named} in ([\d.e-]+) % of rows \(([\d.]+) % in the reference\)", phrase)
        assert found, phrase
        now, before = map(float, found.groups())
        # The second one shares a counted share with a rare one, where its boundary falls between them.
        places = [place, 2] if place == 1 else [place]
        assert now == pytest.approx(100 * np.isin(table[:, 1], places).mean(), abs=1.1)
        assert before == pytest.approx(100 * 0.97 * WEIGHTS[places].sum(), abs=2.2)


def test_of_rare_categories_the_commonest_are_named(shops: Reference) -> None:
    table = rows(ROWS, 3, weighted(20, 14.0))
    (phrase,) = phrases_of(shops, table)
    assert re.match(r"city is c\d\d, c\d\d, c\d\d or \d+ more in [\d.]+ % of rows", phrase), phrase


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([0, 1], "b or a"),
        ([0, 1, 2, 3, 4], "other values, b or a"),
        ([1, 2], "b or other values (1 of 3)"),
        ([3, 4], "other values (2 to 3 of 3)"),
        ([], ""),
    ],
)
def test_classes_of_other_values_are_named_together(places: list[int], expected: str) -> None:
    column = Column(name="x", kind="category", categories=("a", "b"), others=tuple(digests([each]) for each in "cde"))
    assert _listed(column, np.array(places, dtype=np.intp), np.array([0.1, 0.3, 0.2, 0.2, 0.2])) == expected


def test_the_share_of_one_of_two_categories_is_named_too(shops: Reference) -> None:
    (phrase,) = phrases_of(shops, rows(ROWS, 4, member=0.45))
    assert re.match(r"member is true in 4[3-7] % of rows \((29|30|31) % in the reference\)", phrase), phrase


def test_nothing_is_named_where_categories_are_split_between_shares(shops: Reference) -> None:
    shares = shops.category_shares
    assert shares is not None
    assert set(shares.names) == {1, 2}
    assert shares.phrase(0, "amount", np.zeros(len(shares.unwhitened))) == ""
    # As in bundles of format 3: equal shares, which ignore the boundaries of categories.
    bins = shops.description.edges.shape[1] + 1
    cut = replace(shops.description, edges=edges_for([np.empty((0, 2))] * len(shops.description.edges), bins))
    assert not replace(shops, description=cut).category_shares.names  # type: ignore[union-attr]
