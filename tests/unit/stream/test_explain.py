"""A window that may alarm is never said to have nothing that stands out."""

from __future__ import annotations

import numpy as np

from driftwatch.reference.reference import Reference
from driftwatch.stream.explain import NOTABLE_DEVIATIONS, UNUSUAL, calm, explain


def test_only_a_usual_window_without_notable_figures_is_calm() -> None:
    deviations = np.array([[1.0, -3.0], [1.0, -3.0], [1.0, -5.0]])
    assert calm(deviations, np.array([0.5, UNUSUAL / 2, 0.5])) == [True, False, False]


def test_of_many_small_changes_the_largest_is_named(reference: Reference) -> None:
    null = reference.window_null(50, count=500)
    parts = np.array(null.parts_mean)
    deviations = np.full(len(null.mean), 0.5 * NOTABLE_DEVIATIONS)
    deviations[1] = 0.9 * NOTABLE_DEVIATIONS  # the first block's scale
    parts[0, 1] += 0.25
    geometry = {"cosine": 0.0, "location": 0.0, "axes": 0.0, "radius": 1.0}
    text = explain(null, parts, deviations, geometry, reference.block_names, 1.5)
    first = reference.block_names[0]
    assert text == (
        f"many small changes together, most of all {first} changed in spread (+0.25 nats/sample); "
        "+1.5 nats/sample in all"
    )
