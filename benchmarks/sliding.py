"""Sliding windows over a stream that is in memory: their sums, and the smallest p-value of each step."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from driftwatch.stats.sequential import Procedure
from driftwatch.stats.sliding import sliding_windows
from driftwatch.stats.summary import Array


def sliding_sums(panes: Array, width: int) -> Array:
    """Sums of every `width` consecutive panes: ``(S, V)`` to ``(S - width + 1, V)``."""
    return next(sliding_windows([panes], [width]))[0]


def smallest_p_values(procedure: Procedure, chunks: Iterable[Array]) -> Array:
    """The smallest p-value of each step at which the windows of all sizes are full.

    Args:
        procedure: with the nulls of all sizes.
        chunks: consecutive panes of a stream, ``(M, V)`` each.

    Returns:
        ``(S - W + 1,)`` for ``S`` panes in all and a longest window of ``W`` panes.
    """
    nulls, widths = procedure.nulls.values(), [size // procedure.step for size in procedure.nulls]
    tested = [
        np.min(
            [null.test(each).p_values["combined"] for null, each in zip(nulls, windows, strict=True)],
            axis=0,
        )
        for windows in sliding_windows(chunks, widths)
    ]
    return np.concatenate(tested) if tested else np.empty(0)
