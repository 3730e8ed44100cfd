"""Unfit data give a warning that says what, how much, and the remedy; fit data give none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from driftwatch.data.schema import Column, ImageSchema, TableSchema, VectorSchema
from driftwatch.reference.bundle import load_bundle
from driftwatch.reference.contents import Contents, hash_rows
from driftwatch.reference.fitness import (
    ByHeart,
    by_heart,
    drift_within,
    duplicates,
    leakage,
    order_of,
    uninformative_columns,
    warning_texts,
)
from driftwatch.reference.latents import latents_of
from driftwatch.reference.loading import load_reference
from driftwatch.reference.order import Order
from driftwatch.reference.scoring import Scorer
from tests.synthetic import shuffled_rows, waves

TABLE = TableSchema(columns=(Column(name="a", kind="numeric"),))
IMAGE = ImageSchema(channels=1, height=8, width=8)


def place_of(row: int) -> str:
    return f"row {row + 1}"


def contents(repeated: float) -> Contents:
    values = np.random.default_rng(0).normal(size=(1_000, 2))
    values[: round(1_000 * repeated)] = values[-1]
    return Contents(hash_rows(values), len(values))


def test_a_drift_within_the_data_is_located_and_measured() -> None:
    effects = (0.0,) * 8 + (0.25, 0.01)
    (found,) = drift_within(Order(0.002, effects, 8, ("age rose by 1 standard deviations",)), 5_000, place_of)
    assert found.kind == "drifts-within"
    assert "from row 4001 to row 4500" in found.what
    assert "0.25 nats/sample: age rose" in found.what
    assert found.remedy in str(found)
    assert drift_within(Order(0.02, effects, 8, ()), 5_000, place_of) == []


@pytest.mark.parametrize(
    ("schema", "share", "warned"),
    [
        (IMAGE, 0.005, False),
        (IMAGE, 0.05, True),
        (VectorSchema(dim=2), 0.05, True),
        (VectorSchema(dim=2, integer=True), 0.05, False),
        (TABLE, 0.15, False),
        (TABLE, 0.4, True),
    ],
)
def test_duplicates_give_a_warning_where_they_are_unexpected(
    schema: ImageSchema | VectorSchema | TableSchema, share: float, warned: bool
) -> None:
    found = duplicates(contents(share), schema)
    assert bool(found) == warned
    if warned:
        assert f"{100 * share:.2g} % of the samples repeat an earlier one" in found[0].what
        assert ("values are few" in found[0].remedy) == (schema is TABLE)


def test_uninformative_columns_are_named() -> None:
    kinds = {"empty": "numeric", "one": "numeric", "town": "category", "id": "numeric", "flag": "numeric"}
    columns = tuple(
        Column(name=name, kind=kind, categories=("Bonn", "Ulm") if kind == "category" else ())
        for name, kind in kinds.items()
    )
    index = np.arange(500.0)
    rows = np.column_stack(
        [index * np.nan, index * 0 + 2.5, index * 0 + 1, index[::-1], np.where(index % 2, 1, np.nan)]
    )
    found = uninformative_columns(rows, TableSchema(columns=columns))
    assert [warning.kind for warning in found] == ["empty-column", "constant-column", "constant-column", "key-column"]
    assert "column 'one' is always 2.5 in the 500 rows" in found[1].what
    assert "column 'town' is always 'Ulm'" in found[2].what
    assert all("data.exclude" in warning.remedy for warning in found)


def test_a_column_with_only_unseen_categories_is_constant() -> None:
    town = TableSchema(columns=(Column(name="town", kind="category", categories=("Bonn", "Ulm")),))
    (found,) = uninformative_columns(np.full((500, 1), 2.0), town)
    assert found.what.startswith("column 'town' is always none of its categories in the 500 rows")


@pytest.mark.parametrize(
    "values", [np.linspace(0, 1, 500), np.arange(500.0) // 2, np.where(np.arange(500) % 2, 1.0, 2.0)]
)
def test_measurements_and_counts_are_not_keys(values: np.ndarray) -> None:
    assert uninformative_columns(values[:, None], TABLE) == []


def test_constant_dimensions_are_named() -> None:
    vectors = np.random.default_rng(0).standard_normal((500, 64))
    assert uninformative_columns(vectors, VectorSchema(dim=64)) == []
    vectors[:, [2, 5]] = 0.0, 1.5
    (found,) = uninformative_columns(vectors, VectorSchema(dim=64))
    assert found.what == "2 of 64 dimensions never change in the 500 samples that were checked: 3, 6"
    vectors[:, 20:40] = 1.0
    (found,) = uninformative_columns(vectors, VectorSchema(dim=64))
    assert found.what.startswith("22 of 64 dimensions")
    assert found.what.endswith(": 3, 6, 21, 22, 23, 24, 25, 26 ...")


def test_shares_are_rounded_sensibly() -> None:
    assert leakage(1.0)[0].what.startswith("100 % of the calibration samples")
    assert leakage(0.995)[0].what.startswith("100 % of the calibration samples")
    assert leakage(0.032)[0].what.startswith("3.2 % of the calibration samples")


def test_leakage_above_one_percent_gives_a_warning() -> None:
    assert leakage(0.005) == []
    assert "12 % of the calibration samples" in leakage(0.12)[0].what


def test_a_flow_that_did_not_memorise_its_data_gives_no_warning(bundle: Path) -> None:
    reference = load_reference(bundle)
    found = by_heart(reference.flow, waves(1_000, seed=60), latents_of(reference.flow, waves(1_000, seed=61)).nll)
    assert found.chance == pytest.approx(0.5, abs=0.04)
    assert found.warn() == []


def test_a_flow_fitted_to_a_few_samples_gives_a_warning(bundle: Path) -> None:
    flow = load_bundle(bundle).flow
    few = waves(32, seed=62)
    flow.train().requires_grad_(requires_grad=True)
    optimiser, x = torch.optim.Adam(flow.parameters(), lr=3e-3), torch.from_numpy(few)
    for _ in range(150):
        optimiser.zero_grad()
        (-flow.log_prob(flow.prepare(x, noise="content")).mean()).backward()
        optimiser.step()
    flow.eval().requires_grad_(requires_grad=False)
    found = by_heart(flow, few, latents_of(flow, waves(500, seed=63)).nll)
    assert found.chance > 0.7
    assert found.gap > 0
    assert "smaller flow" in found.warn()[0].remedy


def test_a_drift_within_images_is_found(bundle: Path) -> None:
    scorer = Scorer(load_reference(bundle))
    plain = waves(1_000, seed=64)
    half_shuffled = np.concatenate([plain[:500], shuffled_rows(plain[500:])])
    assert order_of(scorer, plain, seed=0).p_value > 0.01
    assert order_of(scorer, half_shuffled, seed=0).p_value <= 0.01


def test_warnings_are_read_from_the_manifest() -> None:
    warning = ByHeart(0.8, 0.1).warn()[0]
    assert warning_texts({"warnings": [warning.to_json()]}) == (str(warning),)
    assert warning_texts({}) == ()
