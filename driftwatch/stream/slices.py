"""Reassembles the slices of a stream from the panes that they came in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from driftwatch.stream.log import Partition
from driftwatch.stream.panes import Pane, join_panes


class Slices:
    """Joins the panes of each slice of one stream; panes of different partitions may be interleaved."""

    def __init__(self) -> None:
        self._pieces: dict[Partition, list[Pane]] = {}

    def copy(self) -> Slices:
        """An independent copy."""
        other = Slices()
        other._pieces = {partition: list(pieces) for partition, pieces in self._pieces.items()}
        return other

    def take(self, pane: Pane) -> Pane | None:
        """Add the next pane of the log; return the slice that it completes, if any."""
        pieces = [*self._pieces.pop(pane.topic_partition, ()), pane]
        if pane.unfinished:
            self._pieces[pane.topic_partition] = pieces
            return None
        return join_panes(pieces)

    def drop(self, partition: Partition) -> None:
        """Drop the pieces of a partition: the rest of their slice will not come."""
        self._pieces.pop(partition, None)

    @property
    def waiting(self) -> Sequence[Pane]:
        """Pieces of incomplete slices."""
        return tuple(chain.from_iterable(self._pieces.values()))
