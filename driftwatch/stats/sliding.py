"""Windows that slide over a long stream of panes, some at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from driftwatch.stats.summary import Array


def sliding_windows(
    chunks: Iterable[Array], widths: Sequence[int], strides: Sequence[int] | None = None
) -> Iterator[tuple[Array, ...]]:
    """The windows that end with each pane, starting where the windows of every width are full.

    Each window is the difference of two cumulative sums, whatever its width.

    Args:
        chunks: consecutive panes of the stream, ``(M, V)`` each.
        widths: of the windows, in panes.
        strides: for each width, yield one of so many of a chunk's windows; all if None.

    Yields:
        for each chunk that completes any windows, its windows of each width, ``(M', V)``.

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
            # Room for twice as much as needed, so that totals are seldom moved.
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
