"""Kinds of faults, and a seeded choice among them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.chaos.fleet import NAMES, Fleet
from tests.chaos.proxy import Proxy

SESSION_S = 3.0
"""After which the broker takes a silent member for gone."""


@dataclass(frozen=True)
class Hands:
    """What a fault is done with.

    Args:
        fleet: of replicas.
        proxy: between them and the broker.
        draw: of replicas and durations.
    """

    fleet: Fleet
    proxy: Proxy
    draw: random.Random
    _pause: threading.Event = field(default_factory=threading.Event)

    def replica(self) -> str:
        """One of those that run."""
        return self.draw.choice(sorted(self.fleet.running))

    def last(self, shortest_s: float, longest_s: float) -> None:
        """Lets a fault last for some time."""
        self._pause.wait(self.draw.uniform(shortest_s, longest_s))


def kill(hands: Hands) -> None:
    """The process is gone within an instruction, and a supervisor starts it again."""
    name = hands.replica()
    hands.fleet.kill(name)
    hands.fleet.start(name)


def kill_all(hands: Hands) -> None:
    """All processes at once, as by a node that dies."""
    names = sorted(hands.fleet.running)
    for name in names:
        hands.fleet.kill(name)
    for name in names:
        hands.fleet.start(name)


def freeze(hands: Hands) -> None:
    """The process stands still until its session is over, and wakes in the middle of what it did, replaced."""
    name = hands.replica()
    hands.fleet.freeze(name)
    try:
        hands.last(1.2 * SESSION_S, 2.5 * SESSION_S)
    finally:
        hands.fleet.wake(name)


def leave(hands: Hands) -> None:
    """A replica is stopped as it should be; the last one is not."""
    hands.fleet.stop(hands.replica())


def join(hands: Hands) -> None:
    """One more replica comes."""
    hands.fleet.start(hands.draw.choice(hands.fleet.missing))


def cut(hands: Hands) -> None:
    """No replica reaches the broker for a while."""
    hands.proxy.cut()
    try:
        hands.last(0.5, 2 * SESSION_S)
    finally:
        hands.proxy.mend()


FAULTS: Mapping[str, Callable[[Hands], None]] = {
    "kill -9": kill,
    "kill -9 of all": kill_all,
    "frozen past its session": freeze,
    "replica leaves": leave,
    "replica joins": join,
    "network cut": cut,
}
WEIGHTS = {"kill -9": 5, "kill -9 of all": 1, "frozen past its session": 2, "network cut": 2}
SCALING = 2
"""The weight of the two kinds that change the number of replicas, where they can come about."""


def choose(hands: Hands) -> str:
    """The next fault's kind."""
    replicas = len(hands.fleet.running)
    weights = {
        **WEIGHTS,
        "replica leaves": SCALING * (replicas > 1),
        "replica joins": SCALING * (replicas < len(NAMES)),
    }
    return hands.draw.choices(list(weights), list(weights.values()))[0]
