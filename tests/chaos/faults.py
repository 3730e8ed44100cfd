"""The kinds of faults, and a seeded choice among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.broker import KafkaBroker
from tests.broker.nodes import active_controller
from tests.chaos.clock import OFFSETS_S
from tests.chaos.fleet import NAMES
from tests.chaos.proxy import Proxy
from tests.chaos.testbed import Testbed

SESSION_S = 3.0
"""After this time the broker considers a silent member dead."""

LONGEST_DOWN_S = 12.0
"""The longest time a node is down: more than the nine seconds after which the others consider it dead."""

NOTIFIED_SHARE = 0.7
"""The share of replicas that receive SIGHUP when the reference changes."""

LOADING_S = 4.0
"""The usual time to load and calibrate a reference."""


def kill(bed: Testbed) -> bool:
    """The process is killed, and a supervisor restarts it."""
    name = bed.replica()
    bed.fleet.kill(name)
    return _restart(bed, name)


def kill_in_transaction(bed: Testbed) -> bool:
    """The process is killed while it waits for an answer within a transaction."""
    with bed.in_transaction() as name:
        bed.fleet.kill(name)
    return _restart(bed, name)


def kill_all(bed: Testbed) -> bool:
    """All processes are killed at once, as if their machine died."""
    names = sorted(bed.fleet.running)
    for name in names:
        bed.fleet.kill(name)
    return _restart(bed, *names)


def freeze(bed: Testbed) -> bool:
    """The process is suspended until its session has expired, and resumes mid-work after a takeover."""
    name = bed.replica()
    bed.fleet.freeze(name)
    return _wake(bed, name)


def freeze_in_transaction(bed: Testbed) -> bool:
    """The process is suspended while it waits for an answer within a transaction."""
    with bed.in_transaction() as name:
        bed.fleet.freeze(name)
    return _wake(bed, name)


def leave(bed: Testbed) -> bool:
    """A replica is shut down cleanly, unless it is the only one."""
    bed.fleet.stop(bed.replica())
    return False


def join(bed: Testbed) -> bool:
    """A replica is added."""
    bed.fleet.start(bed.draw.choice(bed.fleet.missing))
    return False


def cut(bed: Testbed) -> bool:
    """No replica can reach any node for a while."""
    _cut(bed, bed.proxies)
    return False


def cut_in_transaction(bed: Testbed) -> bool:
    """The network is cut while a replica waits for an answer within a transaction."""
    with bed.in_transaction() as name:
        for proxy in bed.proxies:
            proxy.cut()
        inside = bed.left_open(name)
    _cut(bed, bed.proxies)
    return inside


def cut_one(bed: Testbed) -> bool:
    """No replica can reach one of the nodes for a while; the nodes reach each other."""
    _cut(bed, [bed.draw.choice(bed.proxies)])
    return False


def jump(bed: Testbed) -> bool:
    """The wall clock of a replica jumps, and stays wrong."""
    bed.fleet.clocks.set(bed.replica(), bed.draw.choice(OFFSETS_S))
    return False


def switch(bed: Testbed) -> bool:
    """Another reference appears at the configured path; some replicas are notified, the others notice by themselves."""
    bed.place.turn()
    for name in sorted(bed.fleet.running):
        if bed.draw.random() < NOTIFIED_SHARE:
            bed.fleet.hang_up(name)
    return False


def kill_in_switch(bed: Testbed) -> bool:
    """The reference changes, and a replica is killed while it loads the new one or soon after."""
    bed.place.turn()
    name = bed.replica()
    bed.fleet.hang_up(name)
    bed.pause_between(0.0, LOADING_S)
    bed.fleet.kill(name)
    return _restart(bed, name)


def roll(bed: Testbed) -> bool:
    """Replicas are replaced one by one, as in an upgrade; by the other version of the code if there is one."""
    bed.fleet.roll()
    return False


def lose_node(bed: Testbed) -> bool:
    """A node of the cluster is killed, and restarted."""
    _lose(bed, bed.draw.choice(bed.nodes))
    return False


def lose_controller(bed: Testbed) -> bool:
    """The active controller of the cluster is killed, and restarted."""
    _lose(bed, active_controller(bed.nodes))
    return False


def restart_node(bed: Testbed) -> bool:
    """A node is shut down cleanly and restarted, as in an upgrade."""
    node = bed.draw.choice(bed.nodes)
    node.stop()
    node.start()
    return False


Fault = Callable[[Testbed], bool]
"""Strikes, and returns whether the process that was struck had an open transaction, according to the brokers."""

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
"""Weights of the kinds that a single node would not survive, or not notice."""

SCALING_WEIGHT = 2
"""The weight of each of the two kinds that change the number of replicas, where they are possible."""


def choose(bed: Testbed) -> str:
    """Draw the kind of the next fault."""
    replicas = len(bed.fleet.running)
    weights = {
        **WEIGHTS,
        **(CLUSTER_WEIGHTS if len(bed.nodes) > 1 else {}),
        "replica leaves": SCALING_WEIGHT * (replicas > 1),
        "replica joins": SCALING_WEIGHT * (replicas < len(NAMES)),
    }
    return bed.draw.choices(list(weights), list(weights.values()))[0]


def _restart(bed: Testbed, *names: str) -> bool:
    inside = bed.left_open(*names)
    for name in names:
        bed.fleet.start(name)
    return inside


def _wake(bed: Testbed, name: str) -> bool:
    try:
        inside = bed.left_open(name)
        bed.pause_between(1.2 * SESSION_S, 2.5 * SESSION_S)
    finally:
        bed.fleet.wake(name)
    return inside


def _cut(bed: Testbed, proxies: Sequence[Proxy]) -> None:
    for proxy in proxies:
        proxy.cut()
    try:
        bed.pause_between(0.5, 2 * SESSION_S)
    finally:
        for proxy in proxies:
            proxy.mend()


def _lose(bed: Testbed, node: KafkaBroker) -> None:
    node.kill()
    bed.pause_between(0.0, LONGEST_DOWN_S)
    node.start()
