"""Slices of a stream put together again from the panes that they came in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from driftwatch.stream.log import Partition
from driftwatch.stream.panes import Pane, join_panes


class Slices:
    """Joins the panes of each slice of one stream; panes of several partitions may come in turns."""

    def __init__(self) -> None:
        self._pieces: dict[Partition, list[Pane]] = {}

    def copy(self) -> Slices:
        """One that goes on from here by itself."""
        other = Slices()
        other._pieces = {place: list(pieces) for place, pieces in self._pieces.items()}
        return other

    def take(self, pane: Pane) -> Pane | None:
        """Takes the next pane of the log; gives the slice that it completes, if it does."""
        pieces = [*self._pieces.pop(pane.place, ()), pane]
        if pane.unfinished:
            self._pieces[pane.place] = pieces
            return None
        return join_panes(pieces)

    def drop(self, place: Partition) -> None:
        """Forgets what waits of a partition: the rest of it will not come."""
        self._pieces.pop(place, None)

    @property
    def waiting(self) -> Sequence[Pane]:
        """Pieces of slices that are not whole."""
        return tuple(chain.from_iterable(self._pieces.values()))
