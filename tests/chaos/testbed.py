"""What faults act on."""

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
"""The longest wait for a moment within a transaction."""


@dataclass(frozen=True)
class Testbed:
    """What a fault acts on.

    Args:
        fleet: of replicas.
        nodes: of Apache Kafka.
        proxies: between the replicas and each of the nodes.
        snare: of all proxies.
        place: of the reference.
        draw: the generator that draws replicas, nodes, moments and durations.
    """

    fleet: Fleet
    nodes: Sequence[KafkaBroker]
    proxies: Sequence[Proxy]
    snare: Snare
    place: Place
    draw: random.Random
    _pause: threading.Event = field(default_factory=threading.Event)

    def replica(self) -> str:
        """A running replica."""
        return self.draw.choice(sorted(self.fleet.running))

    @contextmanager
    def in_transaction(self) -> Iterator[str]:
        """Hold a replica within a transaction; any replica, if none reaches the drawn moment in time."""
        moment, fallback = self.draw.choice(MOMENTS), self.replica()
        with self.snare.at(moment, PATIENCE_S) as instance:
            name = name_of(instance) if instance else fallback
            yield name if name in self.fleet.running else fallback

    def left_open(self, *names: str) -> bool:
        """Whether one of these replicas has an open transaction, according to the brokers."""
        identities = open_transactions(bootstrap_of(self.nodes))
        found = (IDENTITY.search(identity.encode()) for identity in identities)
        return any(match and name_of(match[1].decode()) in names for match in found)

    def pause_between(self, shortest_s: float, longest_s: float) -> None:
        """Wait for a random time."""
        self._pause.wait(self.draw.uniform(shortest_s, longest_s))
