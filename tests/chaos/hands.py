"""What faults are done with."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.broker import KafkaBroker
from tests.broker.nodes import bootstrap_of
from tests.chaos.fleet import Fleet, name_of
from tests.chaos.proxy import Proxy
from tests.chaos.references import Place
from tests.chaos.snare import IDENTITY, MOMENTS, Snare
from tests.chaos.transactions import open_transactions

PATIENCE_S = 10.0
"""How long a moment within a transaction is waited for."""


@dataclass(frozen=True)
class Hands:
    """What a fault is done with.

    Args:
        fleet: of replicas.
        nodes: of Apache Kafka.
        proxies: between replicas and each of the nodes.
        snare: in all of them.
        place: of the reference.
        draw: of replicas, nodes, moments and durations.
    """

    fleet: Fleet
    nodes: Sequence[KafkaBroker]
    proxies: Sequence[Proxy]
    snare: Snare
    place: Place
    draw: random.Random
    _pause: threading.Event = field(default_factory=threading.Event)

    def replica(self) -> str:
        """One of those that run."""
        return self.draw.choice(sorted(self.fleet.running))

    @contextmanager
    def in_transaction(self) -> Iterator[str]:
        """A replica that stands within a transaction meanwhile; any, if none comes to the moment that is drawn."""
        moment, other = self.draw.choice(MOMENTS), self.replica()
        with self.snare.at(moment, PATIENCE_S) as instance:
            name = name_of(instance) if instance else other
            yield name if name in self.fleet.running else other

    def left_open(self, *names: str) -> bool:
        """Whether a transaction of these replicas is open, as the brokers tell it."""
        identities = open_transactions(bootstrap_of(self.nodes))
        found = (IDENTITY.search(identity.encode()) for identity in identities)
        return any(match and name_of(match[1].decode()) in names for match in found)

    def last(self, shortest_s: float, longest_s: float) -> None:
        """Lets a fault last for some time."""
        self._pause.wait(self.draw.uniform(shortest_s, longest_s))
