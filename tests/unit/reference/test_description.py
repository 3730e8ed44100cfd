"""The description in a bundle determines the distributions of columns; older bundles keep theirs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from driftwatch.flows.features import FeatureTransform
from driftwatch.flows.vector import VectorFlow
from driftwatch.reference.calibration import calibrate
from driftwatch.reference.description import Description
from driftwatch.stats.descriptors import LATENT_MOMENTS, MARGINALS, VALUES, edges_for, vector_descriptors
from driftwatch.stats.hotelling import LOCATION, fit_groups
from driftwatch.stats.summary import Layout

COLUMNS = 5


@pytest.mark.parametrize("bins", [0, 4, 8])
def test_the_shares_of_a_column_are_those_of_the_bundle(bins: int) -> None:
    x = np.random.default_rng(0).standard_normal((500, COLUMNS))
    edges = edges_for([np.array([[0.0, 0.4], [0.4, 1.0]]), *[np.empty((0, 2))] * (COLUMNS - 1)], bins)
    described = {LATENT_MOMENTS: x[:, :2], **vector_descriptors(x, np.eye(COLUMNS), edges)}
    fitted = Description(fit_groups(described, described, (VALUES,)), np.eye(COLUMNS), edges)
    loaded = Description.from_arrays(fitted.to_arrays())
    np.testing.assert_array_equal(loaded.edges, edges)
    layout = loaded.layout(Layout(dim=2, blocks=((1, 2),), axes=2))
    assert len(layout.columns) == (3 if bins else 0)
    assert {layout.groups[each.group][0] for each in layout.columns} == ({VALUES, MARGINALS} if bins else set())


def test_a_bundle_of_format_3_keeps_equal_shares() -> None:
    x = np.random.default_rng(0).standard_normal((500, COLUMNS))
    equal = edges_for([np.empty((0, 2))] * COLUMNS, 4)
    described = vector_descriptors(x, np.eye(COLUMNS), equal)
    arrays = Description(fit_groups(described, described, (VALUES,)), np.eye(COLUMNS), equal).to_arrays()
    older = {name: array for name, array in arrays.items() if name != "edges"}
    np.testing.assert_array_equal(Description.from_arrays(older).edges, equal)
    with pytest.raises(ValueError, match=r"edges are of shape \(5, 2\)"):
        Description.from_arrays({**arrays, "edges": equal[:, :2]})


@pytest.mark.parametrize(
    ("columns", "table", "least", "most"), [(120, False, 0.85, 1), (120, True, 0, 0.2), (30, False, 1 / 3, 1 / 3)]
)
def test_of_long_embeddings_the_numbers_that_vary_most_decide_where_a_window_is(
    columns: int, table: bool, least: float, most: float
) -> None:
    """A table's columns have units of their own. Of short vectors, shifts are told in deviations of each number."""
    raw = np.random.default_rng(0).standard_normal((1_500, columns)) * np.append(
        np.full(10, 10.0), np.ones(columns - 10)
    )
    torch.manual_seed(0)
    features = FeatureTransform.fit(raw, ["numeric"] * columns, missing=table)
    found = Description.from_arrays(calibrate(VectorFlow(features, layers=1, hidden=8).eval(), raw[:500], raw[500:]))
    location = next(group for group in found.groups.each if group.name == LOCATION)
    weights = location.whitener if len(location.whitener) == features.dim else found.projection @ location.whitener
    power = np.square(weights).sum(1)
    assert least - 1e-9 <= power[:10].sum() / power.sum() <= most + 1e-9
