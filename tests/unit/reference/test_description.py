"""A description follows from its bundle: bundles with and without the distributions of columns go on as they were."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.reference.description import Description
from driftwatch.stats.descriptors import LATENT_MOMENTS, MARGINALS, VALUES, vector_descriptors
from driftwatch.stats.hotelling import fit_groups
from driftwatch.stats.summary import Layout

COLUMNS = 5


@pytest.mark.parametrize("bins", [0, 4, 8])
def test_the_shares_of_a_column_are_those_of_the_bundle(bins: int) -> None:
    x = np.random.default_rng(0).standard_normal((500, COLUMNS))
    described = {LATENT_MOMENTS: x[:, :2], **vector_descriptors(x, np.eye(COLUMNS), bins)}
    fitted = Description(fit_groups(described, described, (VALUES,)), np.eye(COLUMNS))
    loaded = Description.from_arrays(fitted.to_arrays())
    assert loaded.bins == bins
    layout = loaded.layout(Layout(dim=2, blocks=((1, 2),), axes=2))
    assert len(layout.columns) == (3 if bins else 0)
    assert {layout.groups[each.group][0] for each in layout.columns} == ({VALUES, MARGINALS} if bins else set())
