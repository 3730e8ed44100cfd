"""The path of the daemons' reference, at which bundles take turns."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from pathlib import Path


def swing(link: Path, to: Path) -> None:
    """Make a link point elsewhere, atomically."""
    new = link.with_name("next")
    new.symlink_to(to)
    new.replace(link)


class Place:
    """A link that points to several bundles in turn.

    Args:
        folder: for the link.
        bundles: in order; after the last follows the first.
    """

    def __init__(self, folder: Path, bundles: Iterable[Path]) -> None:
        self.path = folder / "reference"
        self._turns = cycle(bundles)
        self.turn()

    def turn(self) -> None:
        """Point to the next bundle."""
        swing(self.path, next(self._turns))
