"""An alert first names the column, or the pair, in which a drift was planted."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from driftwatch.data.flaws import FlawCounter
from driftwatch.data.schema import Column, TableSchema
from driftwatch.flows.vector import VectorFlow
from driftwatch.reference.columns import RowFeatures, flawed_columns, moved_columns, percent, unordered_columns
from driftwatch.reference.offline import score_dataset
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.reference.shifts import Shifts
from driftwatch.reference.train_config import FlowConfig
from driftwatch.stats.descriptors import PAIRS
from driftwatch.stats.hotelling import LOCATION
from driftwatch.stats.summary import Layout, merge
from tests.whitening import whitening_reference

NUMBERS = ("age", "income", "debt", "rate", "score")
REGIONS = ("north", "east", "south", "west")
SCHEMA = TableSchema(
    columns=(
        *(Column(name=name, kind="numeric") for name in NUMBERS),
        Column(name="region", kind="category", categories=REGIONS),
    )
)
WINDOW, TRIALS = 500, 20

Change = Callable[[np.ndarray, np.random.Generator], None]


def rows(count: int, seed: int) -> np.ndarray:
    """Loans: income rises with age, the rate with the debt, and a score is sometimes missing."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((count, 5))
    region = rng.choice(4, count, p=[0.4, 0.3, 0.2, 0.1])
    table = np.column_stack(
        [
            40 + 10 * z[:, 0],
            np.exp(10 + 0.35 * (z[:, 0] + z[:, 1])),
            1e3 * np.exp(z[:, 2]),
            3 + 0.9 * z[:, 2] + 0.45 * z[:, 3],
            600 + 80 * z[:, 4],
            region,
        ]
    )
    table[rng.random(count) < 0.05, 4] = np.nan
    return table


@pytest.fixture(scope="module")
def loans() -> Reference:
    """A reference whose flow only whitens: drift shows in the descriptors."""
    return whitening_reference("loans", SCHEMA, rows, FlowConfig(layers=3, hidden=16))


def phrases_of(reference: Reference, table: np.ndarray) -> list[str]:
    window = merge(np.concatenate(list(Scorer(reference).summaries(table))))
    assert isinstance(reference.flow, VectorFlow)
    missing = reference.flow.features.missing_shares
    flawed = flawed_columns(FlawCounter(SCHEMA)(table), len(table), SCHEMA, missing, reference.unseen_shares)
    rests_on = float(reference.others[0])
    (phrases,) = moved_columns(window[None], reference.layout, reference.row_features, [flawed], rests_on=rests_on)
    return phrases


def shift(column: int, deviations: float = 0.6) -> Change:
    def change(table: np.ndarray, _: np.random.Generator) -> None:
        table[:, column] += deviations * np.nanstd(table[:, column])

    return change


def widen(column: int) -> Change:
    def change(table: np.ndarray, _: np.random.Generator) -> None:
        median = np.nanmedian(table[:, column])
        table[:, column] = median + 1.6 * (table[:, column] - median)

    return change


def unlink(column: int) -> Change:
    def change(table: np.ndarray, rng: np.random.Generator) -> None:
        table[:, column] = rng.permutation(table[:, column])

    return change


def remove(column: int, share: float = 0.2) -> Change:
    def change(table: np.ndarray, rng: np.random.Generator) -> None:
        table[rng.random(len(table)) < share, column] = np.nan

    return change


def unknown(share: float) -> Change:
    def change(table: np.ndarray, rng: np.random.Generator) -> None:
        table[rng.random(len(table)) < share, 5] = len(REGIONS)

    return change


def move_west(table: np.ndarray, rng: np.random.Generator) -> None:
    table[rng.random(len(table)) < 0.3, 5] = 3


PLANTED: dict[str, tuple[Change, tuple[str, ...]]] = {
    **{f"{name} shifted": (shift(j), (name,)) for j, name in enumerate(NUMBERS)},
    "age widened": (widen(0), ("age",)),
    "score widened": (widen(4), ("score",)),
    "income unlinked from age": (unlink(1), ("age", "income", "relation")),
    "rate unlinked from debt": (unlink(3), ("debt", "rate", "relation")),
    "score more often missing": (remove(4), ("score is missing in 2", "% of rows (", "% in the reference)")),
    "age missing, which it never was": (remove(0), ("age is missing in", "% of rows (0 % in the reference)")),
    "income missing in all rows": (remove(1, 1.0), ("income is missing in 100 % of rows",)),
    "more from the west": (move_west, ("region is west in 3", " % of rows (")),
    "some regions unseen": (unknown(0.2), ("region has values that the reference never had in",)),
    "all regions unseen": (unknown(1.0), ("region has values", "(it knows north, east, south, west)")),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_the_planted_drift_is_named_first(loans: Reference, planted: str) -> None:
    change, expected = PLANTED[planted]
    named = 0
    for trial in range(TRIALS):
        table = rows(WINDOW, 1_000 + trial)
        change(table, np.random.default_rng(trial))
        first = phrases_of(loans, table)[:1]
        named += bool(first) and all(word in first[0] for word in expected)
    assert named >= 0.95 * TRIALS


@pytest.mark.parametrize("deviations", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("column", [0, 1, 4])
def test_a_shift_is_reported_as_a_shift_only(loans: Reference, column: int, deviations: float) -> None:
    change, expected = shift(column, deviations), f"{NUMBERS[column]} rose by "
    for trial in range(TRIALS):
        table = rows(WINDOW, 1_000 + trial)
        change(table, np.random.default_rng(trial))
        (phrase,) = phrases_of(loans, table)
        assert phrase.startswith(expected), phrase


@pytest.mark.parametrize(
    ("column", "deviations", "share"),
    [(1, 1.5, 1.0), (2, 1.5, 1.0), (3, 1.0, 1.0), (3, 1.5, 1.0), (1, 1.5, 0.5), (1, 3.0, 0.5)],
)
def test_a_shift_of_a_correlated_column_is_no_change_of_spread(
    loans: Reference, column: int, deviations: float, share: float
) -> None:
    for trial in range(TRIALS):
        table = rows(WINDOW, 1_000 + trial)
        shift(column, deviations)(table[: int(share * WINDOW)], np.random.default_rng(trial))
        assert phrases_of(loans, table)[0].startswith(f"{NUMBERS[column]} rose by ")


def test_another_unit_is_not_reported_as_a_small_shift() -> None:
    schema = TableSchema(columns=tuple(Column(name=f"c{j}", kind="numeric") for j in range(26)))
    wide = whitening_reference(
        "wide",
        schema,
        lambda count, seed: np.random.default_rng(seed).standard_normal((count, 26)),
        FlowConfig(layers=1, hidden=8),
    )
    assert wide.row_features is not None
    assert wide.row_features.shifts.products is None  # so nothing is known of spreads
    table = np.random.default_rng(2).standard_normal((WINDOW, 26))
    table[:, 7] = 1_000 * (table[:, 7] + 0.08)
    window = merge(np.concatenate(list(Scorer(wide).summaries(table))))
    (phrases,) = moved_columns(window[None], wide.layout, wide.row_features)
    assert phrases == ["the distribution of c7 changed"]


def test_a_constant_value_is_reported_as_a_shift(loans: Reference) -> None:
    table = rows(WINDOW, 1_000)
    table[:, 0] = 70
    assert phrases_of(loans, table) == ["age rose by 3 standard deviations"]


def test_a_category_is_named_with_its_share_and_does_not_rise_or_fall(loans: Reference) -> None:
    table = rows(WINDOW, 1_000)
    move_west(table, np.random.default_rng(0))
    now = percent(float((table[:, 5] == 3).mean()))
    assert phrases_of(loans, table)[0].startswith(f"region is west in {now} of rows (")
    assert phrases_of(loans, table)[0].endswith(" % in the reference)")


def test_only_columns_of_three_or_more_categories_have_no_order() -> None:
    kinds = {"age": (), "member": ("false", "true"), "town": ("Bonn", "Hof", "Ulm")}
    columns = [
        Column(name=name, kind="category" if held else "numeric", categories=held) for name, held in kinds.items()
    ]
    assert unordered_columns(TableSchema(columns=tuple(columns))) == {"town"}


def test_nothing_is_named_where_nothing_moved(loans: Reference) -> None:
    assert [phrases_of(loans, rows(WINDOW, 2_000 + trial)) for trial in range(100)] == [[]] * 100


def test_columns_that_are_missing_together_are_each_named(loans: Reference) -> None:
    table = rows(WINDOW, 3_000)
    remove(0, 1.0)(table, np.random.default_rng(0))
    remove(5, 0.5)(table, np.random.default_rng(1))
    assert [phrase.split(" of rows")[0] for phrase in phrases_of(loans, table)] == [
        "age is missing in 100 %",
        f"region is missing in {percent(float(np.isnan(table[:, 5]).mean()))}",
    ]


def test_the_usual_share_of_unseen_values_is_not_reported() -> None:
    missing, usual = np.zeros(len(SCHEMA.columns)), np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.05])
    for count, expected in ((25, []), (60, ["region has values that the reference never had in 12 % of rows (5 % "])):
        found = flawed_columns({"region": (0, count)}, 500, SCHEMA, missing, usual)
        assert [phrase[: len(start)] for (_, _, phrase), start in zip(found, expected, strict=True)] == expected
    assert flawed_columns({"region": (0, 25)}, 500, SCHEMA, missing, np.zeros(len(SCHEMA.columns)))


def test_windows_of_a_data_set_have_the_flaws_of_their_rows(loans: Reference) -> None:
    table = rows(1_000, 5)
    unknown(0.1)(table, np.random.default_rng(0))
    scorer, null = Scorer(loans, batch_size=64), loans.window_null(300, count=200)
    scored = score_dataset(scorer, [table[:450], table[450:]], null=null)
    found = [flaws for part in scored for flaws in part.flaws]
    assert found == [FlawCounter(SCHEMA)(table[start : start + 300]) for start in (0, 300, 600)]


@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_flaws_are_tested_without_deprecated_calls_of_scipy() -> None:
    flaws = {SCHEMA.columns[0].name: (40, 0)}  # the samples of a window are counted in floats, like all its sums
    ((log_p, _, phrase),) = flawed_columns(flaws, 50.0, SCHEMA, *np.zeros((2, len(SCHEMA.columns))))
    assert log_p < -100
    assert "missing in 80 % of rows" in phrase


def test_an_image_has_no_columns(reference: Reference) -> None:
    assert reference.row_features is None
    assert moved_columns(reference.bank[:100].sum(0)[None], reference.layout, None) == [[]]


def test_for_long_vectors_no_pairs_are_listed() -> None:
    dim = 2_000
    layout = Layout(dim=dim, blocks=((1, 1),), axes=1, groups=((PAIRS, 300), (LOCATION, dim)))
    summary = np.zeros(layout.size)
    summary[0] = 500.0
    names, no_edges = [f"dimension {j + 1}" for j in range(dim)], np.empty((dim, 0))
    features = RowFeatures(names, unordered=(), of_categories=None, shifts=Shifts(None, None, no_edges))
    tracemalloc.start()
    moved_columns(summary[None], layout, features)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * summary.nbytes
