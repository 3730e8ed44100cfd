"""Sequences as they should be beside those that were found: what is lost, repeated, altered or out of order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


class Sequences(dict[str, list[bytes]]):
    """Messages in their order, by what they are ordered within."""

    def add(self, key: str, value: bytes) -> None:
        """Appends a message."""
        self.setdefault(key, []).append(value)


@dataclass(frozen=True)
class Comparison:
    """How many messages are as they should be.

    Args:
        what: they are.
        expected: of the oracle.
        lost: expected and not found.
        repeated: found more often than expected.
        foreign: found and never expected; one that was altered is lost and foreign.
        displaced: found in another place than expected, in sequences that hold all they should and no more.
    """

    what: str
    expected: int
    lost: int = 0
    repeated: int = 0
    foreign: int = 0
    displaced: int = 0

    @property
    def exact(self) -> bool:
        """Whether what was found is what was expected, in its order."""
        return not (self.lost or self.repeated or self.foreign or self.displaced)


def compare(what: str, expected: Mapping[str, list[bytes]], found: Mapping[str, list[bytes]]) -> Comparison:
    """Compares sequences key by key."""
    lost = repeated = foreign = displaced = 0
    for key in expected.keys() | found.keys():
        wanted, had = expected.get(key, []), found.get(key, [])
        missing, surplus = Counter(wanted) - Counter(had), Counter(had) - Counter(wanted)
        known = set(wanted)
        lost += missing.total()
        repeated += sum(count for value, count in surplus.items() if value in known)
        foreign += sum(count for value, count in surplus.items() if value not in known)
        if not missing and not surplus:
            displaced += sum(one != other for one, other in zip(wanted, had, strict=True))
    return Comparison(what, sum(map(len, expected.values())), lost, repeated, foreign, displaced)
