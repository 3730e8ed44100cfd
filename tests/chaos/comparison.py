"""Compares expected sequences with those that were found: what is lost, repeated, altered or out of order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


class Sequences(dict[str, list[bytes]]):
    """Messages in order, by the key within which their order is defined."""

    def add(self, key: str, value: bytes) -> None:
        """Append a message."""
        self.setdefault(key, []).append(value)


@dataclass(frozen=True)
class Comparison:
    """How expected and found messages differ.

    Args:
        what: the kind of message.
        expected: the number that the oracle expects.
        lost: expected and not found.
        repeated: found more often than expected.
        foreign: found and never expected; an altered message counts as lost and as foreign.
        displaced: found at another position than expected, in sequences that are otherwise complete.
    """

    what: str
    expected: int
    lost: int = 0
    repeated: int = 0
    foreign: int = 0
    displaced: int = 0

    @property
    def exact(self) -> bool:
        """Whether exactly the expected messages were found, in order."""
        return not (self.lost or self.repeated or self.foreign or self.displaced)


def compare(what: str, expected: Mapping[str, list[bytes]], found: Mapping[str, list[bytes]]) -> Comparison:
    """Compare sequences key by key."""
    lost = repeated = foreign = displaced = 0
    for key in expected.keys() | found.keys():
        wanted, actual = expected.get(key, []), found.get(key, [])
        missing, surplus = Counter(wanted) - Counter(actual), Counter(actual) - Counter(wanted)
        expected_values = set(wanted)
        lost += missing.total()
        repeated += sum(count for value, count in surplus.items() if value in expected_values)
        foreign += sum(count for value, count in surplus.items() if value not in expected_values)
        if not missing and not surplus:
            displaced += sum(one != other for one, other in zip(wanted, actual, strict=True))
    return Comparison(what, sum(map(len, expected.values())), lost, repeated, foreign, displaced)
