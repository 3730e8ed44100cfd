"""Windows that slide over a long stream of panes, some at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from driftwatch.stats.summary import Array


def sliding_windows(
    chunks: Iterable[Array], widths: Sequence[int], strides: Sequence[int] | None = None
) -> Iterator[tuple[Array, ...]]:
    """The windows that end with each pane, from the first one on at which those of every width are full.

    A window is the difference of two cumulative sums, whatever its width.

    Args:
        chunks: of the stream's panes, ``(M, V)`` each.
        widths: of windows, panes.
        strides: of each width, every how many of a chunk's windows are wanted; all if None.

    Yields:
        for each chunk that fills any, its windows of each width, ``(M', V)``.

    >>> panes = np.arange(6.0)[:, None]
    >>> [[window.ravel().tolist() for window in windows] for windows in sliding_windows([panes[:4], panes[4:]], [1, 3])]
    [[[2.0, 3.0], [3.0, 6.0]], [[4.0, 5.0], [9.0, 12.0]]]
    """
    longest = max(widths)
    totals, filled = np.empty((0, 0)), 0
    for panes in chunks:
        if not filled:
            totals, filled = np.zeros((1, panes.shape[1])), 1
        if filled + len(panes) > len(totals):
            kept = totals[max(0, filled - longest) : filled]
            # Twice as much as is needed, so that totals are moved seldom.
            totals, filled = np.empty((2 * (len(kept) + len(panes)), panes.shape[1])), len(kept)
            totals[:filled] = kept
        # Row by row, since a cumulative sum along columns is five times slower.
        for row, pane in enumerate(panes, filled):
            np.add(totals[row - 1], pane, out=totals[row])
        first, filled = max(filled, longest), filled + len(panes)
        if first < filled:
            yield tuple(
                totals[first:filled:stride] - totals[first - width : filled - width : stride]
                for width, stride in zip(widths, strides or [1] * len(widths), strict=True)
            )


def sliding_sums(panes: Array, width: int) -> Array:
    """Sums of every `width` consecutive panes: ``(S, V)`` to ``(S - width + 1, V)``."""
    return next(sliding_windows([panes], [width]))[0]
