"""Kinds of faults, and a seeded choice among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.broker import KafkaBroker
from tests.broker.nodes import active_controller
from tests.chaos.clock import OFFSETS_S
from tests.chaos.fleet import NAMES
from tests.chaos.hands import Hands
from tests.chaos.proxy import Proxy

SESSION_S = 3.0
"""After which the broker takes a silent member for gone."""

AWAY_S = 12.0
"""The longest that a node is away: longer than the nine seconds after which the others take it for gone."""

TOLD = 0.7
"""The share of replicas that are told of another reference."""

TAKEN_UP_S = 4.0
"""In which a reference is loaded and calibrated, mostly."""


def kill(hands: Hands) -> bool:
    """The process is gone within an instruction, and a supervisor starts it again."""
    name = hands.replica()
    hands.fleet.kill(name)
    return _started_again(hands, name)


def kill_in_transaction(hands: Hands) -> bool:
    """The same while it waits for an answer within a transaction."""
    with hands.in_transaction() as name:
        hands.fleet.kill(name)
    return _started_again(hands, name)


def kill_all(hands: Hands) -> bool:
    """All processes at once, as by a node that dies."""
    names = sorted(hands.fleet.running)
    for name in names:
        hands.fleet.kill(name)
    return _started_again(hands, *names)


def freeze(hands: Hands) -> bool:
    """The process stands still until its session is over, and wakes in the middle of what it did, replaced."""
    name = hands.replica()
    hands.fleet.freeze(name)
    return _woken(hands, name)


def freeze_in_transaction(hands: Hands) -> bool:
    """The same while it waits for an answer within a transaction."""
    with hands.in_transaction() as name:
        hands.fleet.freeze(name)
    return _woken(hands, name)


def leave(hands: Hands) -> bool:
    """A replica is stopped as it should be; the last one is not."""
    hands.fleet.stop(hands.replica())
    return False


def join(hands: Hands) -> bool:
    """One more replica comes."""
    hands.fleet.start(hands.draw.choice(hands.fleet.missing))
    return False


def cut(hands: Hands) -> bool:
    """No replica reaches any node for a while."""
    _cut(hands, hands.proxies)
    return False


def cut_in_transaction(hands: Hands) -> bool:
    """The same while one waits for an answer within a transaction."""
    with hands.in_transaction() as name:
        for proxy in hands.proxies:
            proxy.cut()
        inside = hands.left_open(name)
    _cut(hands, hands.proxies)
    return inside


def cut_one(hands: Hands) -> bool:
    """No replica reaches one of the nodes for a while, which all others reach."""
    _cut(hands, [hands.draw.choice(hands.proxies)])
    return False


def jump(hands: Hands) -> bool:
    """The wall clock of a replica jumps, and stays so."""
    hands.fleet.clocks.set(hands.replica(), hands.draw.choice(OFFSETS_S))
    return False


def switch(hands: Hands) -> bool:
    """Another reference stands at its place; some replicas are told so, the others see it by themselves."""
    hands.place.turn()
    for name in sorted(hands.fleet.running):
        if hands.draw.random() < TOLD:
            hands.fleet.hang_up(name)
    return False


def kill_in_switch(hands: Hands) -> bool:
    """The same, and a replica is gone within an instruction while it takes the reference up, or soon after."""
    hands.place.turn()
    name = hands.replica()
    hands.fleet.hang_up(name)
    hands.last(0.0, TAKEN_UP_S)
    hands.fleet.kill(name)
    return _started_again(hands, name)


def roll(hands: Hands) -> bool:
    """Replicas are replaced one after another, as for an upgrade, by the other version of the code if there is one."""
    hands.fleet.roll()
    return False


def lose_node(hands: Hands) -> bool:
    """A node of the cluster is killed, and comes back."""
    _lose(hands, hands.draw.choice(hands.nodes))
    return False


def lose_controller(hands: Hands) -> bool:
    """The node that decides for the cluster is killed, and comes back."""
    _lose(hands, active_controller(hands.nodes))
    return False


def restart_node(hands: Hands) -> bool:
    """A node hands over what it leads, stops and starts, as for an upgrade."""
    node = hands.draw.choice(hands.nodes)
    node.stop()
    node.start()
    return False


Fault = Callable[[Hands], bool]
"""Does something; tells whether a transaction of the process that it struck was open, as the broker tells it."""

FAULTS: Mapping[str, Fault] = {
    "kill -9": kill,
    "kill -9 in a transaction": kill_in_transaction,
    "kill -9 of all": kill_all,
    "frozen past its session": freeze,
    "frozen in a transaction": freeze_in_transaction,
    "replica leaves": leave,
    "replica joins": join,
    "network cut": cut,
    "network cut in a transaction": cut_in_transaction,
    "clock jumps": jump,
    "reference switched": switch,
    "kill -9 in a switch": kill_in_switch,
    "replicas replaced in turn": roll,
    "node killed": lose_node,
    "controller killed": lose_controller,
    "node restarted": restart_node,
    "network cut to one node": cut_one,
}
WEIGHTS = {
    "kill -9": 4,
    "kill -9 in a transaction": 4,
    "kill -9 of all": 1,
    "frozen past its session": 2,
    "frozen in a transaction": 2,
    "network cut": 1,
    "network cut in a transaction": 1,
    "clock jumps": 1,
    "reference switched": 2,
    "kill -9 in a switch": 1,
    "replicas replaced in turn": 1,
}
CLUSTER_WEIGHTS = {"node killed": 3, "controller killed": 2, "node restarted": 1, "network cut to one node": 1}
"""Of kinds that a single node would not survive, or not notice."""

SCALING = 2
"""The weight of the two kinds that change the number of replicas, where they can come about."""


def choose(hands: Hands) -> str:
    """The next fault's kind."""
    replicas = len(hands.fleet.running)
    weights = {
        **WEIGHTS,
        **(CLUSTER_WEIGHTS if len(hands.nodes) > 1 else {}),
        "replica leaves": SCALING * (replicas > 1),
        "replica joins": SCALING * (replicas < len(NAMES)),
    }
    return hands.draw.choices(list(weights), list(weights.values()))[0]


def _started_again(hands: Hands, *names: str) -> bool:
    inside = hands.left_open(*names)
    for name in names:
        hands.fleet.start(name)
    return inside


def _woken(hands: Hands, name: str) -> bool:
    try:
        inside = hands.left_open(name)
        hands.last(1.2 * SESSION_S, 2.5 * SESSION_S)
    finally:
        hands.fleet.wake(name)
    return inside


def _cut(hands: Hands, proxies: Sequence[Proxy]) -> None:
    for proxy in proxies:
        proxy.cut()
    try:
        hands.last(0.5, 2 * SESSION_S)
    finally:
        for proxy in proxies:
            proxy.mend()


def _lose(hands: Hands, node: KafkaBroker) -> None:
    node.kill()
    hands.last(0.0, AWAY_S)
    node.start()
