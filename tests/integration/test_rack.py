"""A consumer reads from the replica in its own rack: everything the leader has, as soon as it is committed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from kafka import KafkaProducer, TopicPartition

from driftwatch.config import KafkaSource
from driftwatch.stream.kafka_clients import open_consumer
from tests.broker import KafkaBroker, start_nodes
from tests.broker.nodes import bootstrap_of
from tests.cluster import Cluster
from tests.integration.conftest import require_apache_kafka
from tests.patience import PATIENCE_S

BATCHES, BATCH = 15, 10
PADDING = bytes(10_000)


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[KafkaBroker]]:
    require_apache_kafka()
    with start_nodes(2) as running:
        yield running


@pytest.mark.parametrize("following", [True, False])
def test_a_consumer_with_a_rack_reads_from_the_replica_there(nodes: list[KafkaBroker], following: bool) -> None:
    cluster = Cluster(bootstrap_of(nodes), f"rack-{following}")
    cluster.create()
    place, servers = TopicPartition(cluster.topic, 0), cluster.bootstrap.split(",")
    sent = [b"%d " % number + PADDING for number in range(BATCHES * BATCH)]
    with ExitStack() as clients:
        transactional = KafkaProducer(bootstrap_servers=servers, transactional_id=cluster.prefix)
        producer = clients.enter_context(closing(transactional))
        producer.init_transactions()
        producer.partitions_for(cluster.topic)
        leader = producer._metadata.leader_for_partition(place)
        follower = next(each.number for each in nodes if each.number != leader)
        source = cluster.source(rack=f"rack-{follower}" if following else None) | {"bootstrap_servers": servers}
        consumer = open_consumer(KafkaSource.model_validate(source), "score", clients, None)
        consumer.assign([place])
        consumer.seek_to_beginning()
        seen: list[bytes] = []
        for start in range(0, len(sent), BATCH):
            producer.begin_transaction()
            for value in sent[start : start + BATCH]:
                producer.send(cluster.topic, value, partition=0)
            producer.commit_transaction()
            deadline = time.monotonic() + PATIENCE_S
            while len(seen) < start + BATCH:
                seen += [each.value for found in consumer.poll(timeout_ms=500).values() for each in found]
                assert time.monotonic() < deadline, "committed messages arrive"
        assert seen == sent
        received = consumer.metrics()
        near, far = (
            received.get(f"consumer-node-metrics.node-{node}", {}).get("incoming-byte-rate", 0.0)
            for node in ((follower, leader) if following else (leader, follower))
        )
        assert near > 20 * far, "the leader only says where to read"
