"""A three-node Apache Kafka cluster that survives the loss of a node: everything has three replicas."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from kafka import KafkaAdminClient

from tests.broker.broker import COPIES, KafkaBroker, choose_ports, cluster_id

HEAP_MB = 256


@contextlib.contextmanager
def start_nodes(count: int = COPIES) -> Iterator[list[KafkaBroker]]:
    """The running nodes of one cluster; killed and removed afterwards."""
    ports = {number: choose_ports() for number in range(1, count + 1)}
    cluster = cluster_id()
    with contextlib.ExitStack() as running:
        nodes = [
            running.enter_context(contextlib.closing(KafkaBroker(ports, number, cluster, heap_mb=HEAP_MB)))
            for number in ports
        ]
        for node in nodes:
            node.launch()
        for node in nodes:
            node.wait()
        yield nodes


def bootstrap_of(nodes: Sequence[KafkaBroker]) -> str:
    """The addresses that clients connect to, whichever node is down."""
    return ",".join(node.bootstrap for node in nodes)


def active_controller(nodes: Sequence[KafkaBroker]) -> KafkaBroker:
    """The active controller.

    Raises:
        KafkaError: there is none at present.
    """
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=bootstrap_of(nodes))) as admin:
        (metadata,) = admin.describe_metadata_quorum()["topics"]
    leader = metadata["partitions"][0]["leader_id"]
    return next(node for node in nodes if node.number == leader)
