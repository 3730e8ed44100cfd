"""The description in a bundle determines the distributions of columns; older bundles keep theirs."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.reference.description import Description
from driftwatch.stats.descriptors import LATENT_MOMENTS, MARGINALS, VALUES, edges_for, vector_descriptors
from driftwatch.stats.hotelling import fit_groups
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
