"""The description in a bundle determines the distributions of columns; older bundles keep theirs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from driftwatch.flows.features import FeatureTransform
from driftwatch.flows.vector import VectorFlow
from driftwatch.reference.calibration import calibrate
from driftwatch.reference.description import PROJECTED, Description
from driftwatch.reference.latents import latents_of
from driftwatch.stats.descriptors import LATENT_MOMENTS, MARGINALS, NUMBERS, VALUES, edges_for, vector_descriptors
from driftwatch.stats.hotelling import LOCATION, fit_groups
from driftwatch.stats.moments import Moments
from driftwatch.stats.summary import Layout

COLUMNS = 5
NOWHERE = np.empty((COLUMNS, 0))


@pytest.mark.parametrize("bins", [0, 4, 8])
def test_the_shares_of_a_column_are_those_of_the_bundle(bins: int) -> None:
    x = np.random.default_rng(0).standard_normal((500, COLUMNS))
    edges = edges_for([np.array([[0.0, 0.4], [0.4, 1.0]]), *[np.empty((0, 2))] * (COLUMNS - 1)], bins)
    described = {LATENT_MOMENTS: x[:, :2], **vector_descriptors(x, np.eye(COLUMNS), edges)}
    fitted = Description(fit_groups(described, described, (VALUES,)), np.eye(COLUMNS), edges, NOWHERE)
    loaded = Description.from_arrays(fitted.to_arrays())
    np.testing.assert_array_equal(loaded.edges, edges)
    layout = loaded.layout(Layout(dim=2, blocks=((1, 2),), axes=2))
    assert len(layout.columns) == (3 if bins else 0)
    assert {layout.groups[each.group][0] for each in layout.columns} == ({VALUES, MARGINALS} if bins else set())


def test_a_bundle_of_format_3_keeps_equal_shares() -> None:
    x = np.random.default_rng(0).standard_normal((500, COLUMNS))
    equal = edges_for([np.empty((0, 2))] * COLUMNS, 4)
    described = vector_descriptors(x, np.eye(COLUMNS), equal)
    arrays = Description(fit_groups(described, described, (VALUES,)), np.eye(COLUMNS), equal, NOWHERE).to_arrays()
    older = {name: array for name, array in arrays.items() if name != "edges"}
    np.testing.assert_array_equal(Description.from_arrays(older).edges, equal)
    with pytest.raises(ValueError, match=r"edges are of shape \(5, 2\)"):
        Description.from_arrays({**arrays, "edges": equal[:, :2]})


@pytest.mark.parametrize(("columns", "table"), [(120, False), (120, True), (30, False)])
def test_long_embeddings_are_located_by_their_numbers(columns: int, table: bool) -> None:
    """Ranks, as of a table, would make all numbers vary alike. Of short vectors, shifts are told of each number."""
    spreads = np.append(np.full(10, 10.0), np.ones(columns - 10))
    raw = np.random.default_rng(0).standard_normal((1_500, columns)) * spreads
    torch.manual_seed(0)
    features = FeatureTransform.fit(raw, ["numeric"] * columns, missing=table)
    flow = VectorFlow(features, layers=1, hidden=8).eval()
    arrays = calibrate(flow, raw[:500], raw[500:])
    found = Description.from_arrays(arrays)
    location = next(group for group in found.groups.each if group.name == LOCATION)
    is_long = columns > 100 and not table
    assert location.sources == ((NUMBERS,) if is_long else (VALUES,))
    assert found.location.shape == ((columns, PROJECTED) if is_long else (features.dim, 0))
    power = np.square(found.projection).sum(1)
    assert power[:10].sum() / power.sum() < 0.3 if table else power[:10].sum() / power.sum() > 0.8
    if is_long:
        np.testing.assert_allclose(np.square(found.location[:10]).sum(1), 1.0, atol=0.01)  # all that varies most
        latents = latents_of(flow, np.full((1, columns), 1e300))
        whitened = Moments.from_arrays(arrays).whiten(latents.blocks, latents.nll)
        assert all(np.isfinite(y).all() for y in found.describe(flow, latents, whitened).groups)
