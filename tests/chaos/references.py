"""The place of the daemons' reference: one bundle stands there, and then another."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from pathlib import Path


def swing(link: Path, to: Path) -> None:
    """Lets a link lead elsewhere, in one step."""
    new = link.with_name("next")
    new.symlink_to(to)
    new.replace(link)


class Place:
    """A link that leads to each of some bundles in turn.

    Args:
        folder: for the link.
        bundles: in the order in which they stand there, and again from the first.
    """

    def __init__(self, folder: Path, bundles: Iterable[Path]) -> None:
        self.path = folder / "reference"
        self._turns = cycle(bundles)
        self.turn()

    def turn(self) -> None:
        """Lets the next one stand there."""
        swing(self.path, next(self._turns))
