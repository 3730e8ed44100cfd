"""The broker under the tests is real: what it has acknowledged survives a kill. The tests of roles that need one."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from driftwatch.config import KafkaSource
from driftwatch.stream.kafka_clients import DELIVERY_TIMEOUT_MS, open_consumer
from driftwatch.stream.losses import Unready
from driftwatch.stream.receiving import RoomySocket
from driftwatch.stream.subscription import Subscription
from driftwatch.stream.transaction import keep_requests
from tests.broker import KafkaBroker
from tests.chaos.proxy import Proxy, serving
from tests.chaos.snare import Snare
from tests.cluster import Cluster

TOPIC = "kept"
PLACE = TopicPartition(TOPIC, 0)


def committed(broker: KafkaBroker, count: int) -> list[bytes]:
    with closing(
        KafkaConsumer(bootstrap_servers=broker.bootstrap, isolation_level="read_committed", group_id=None)
    ) as consumer:
        consumer.assign([PLACE])
        consumer.seek_to_beginning(PLACE)
        found: list[bytes] = []
        for _ in range(100):
            for messages in consumer.poll(timeout_ms=200).values():
                found += [message.value for message in messages]
            if len(found) >= count:
                break
        return found


def test_a_transaction_survives_a_network_cut(own_broker: KafkaBroker) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=own_broker.bootstrap)) as admin:
        admin.create_topics({TOPIC: {"num_partitions": 1}}, wait_for_metadata=True)
    with ExitStack() as running:
        proxy = running.enter_context(serving(Proxy(own_broker.proxy, own_broker.proxied, Snare())))
        producer = KafkaProducer(bootstrap_servers=f"127.0.0.1:{own_broker.proxy}", transactional_id="writer")
        running.callback(producer.close, timeout=1)
        keep_requests(producer)
        producer.init_transactions()
        for number in range(3):
            producer.begin_transaction()
            producer.send(TOPIC, b"%d" % number).get(timeout=DELIVERY_TIMEOUT_MS / 2_000)
            producer.commit_transaction()
            proxy.cut()
            # Long enough that an idle producer notices the cut: without `keep_requests`, what it starts then is lost.
            threading.Event().wait(0.3)
            threading.Timer(1.0, proxy.mend).start()
    assert committed(own_broker, 3) == [b"0", b"1", b"2"]


def subscribed(cluster: Cluster, clients: ExitStack, source: KafkaSource, **options: object) -> Subscription:
    """To the cluster's topic, as a member of a group."""
    consumer = open_consumer(source, "read", clients, cluster.prefix, **options)
    return Subscription(consumer, cluster.topic, instance=source.instance is not None, identities={})


def read(subscription: Subscription, place: TopicPartition, count: int) -> list[bytes]:
    """The next messages of a partition: `count` of them, or somewhat more."""
    found: list[bytes] = []
    for _ in range(150):
        found += [message.value for message in subscription.poll().get(place, ())]
        if len(found) >= count:
            break
    return found


def test_a_partition_paused_in_the_middle_of_a_fetch_resumes_there(cluster: Cluster) -> None:
    cluster.create(2)
    other, paused = (TopicPartition(cluster.topic, number) for number in range(2))
    values = [b"%d" % number for number in range(60)]
    cluster.send([(value, {}) for value in values], paused.partition)
    with ExitStack() as clients:
        subscription = subscribed(cluster, clients, KafkaSource.model_validate(cluster.source()), max_poll_records=20)
        consumer = subscription.consumer
        assert read(subscription, paused, 1) == values[:20]
        consumer.pause(paused)
        consumer.seek(paused, 10)
        cluster.send([(b"other", {})], other.partition)
        assert read(subscription, other, 1) == [b"other"]
        consumer.resume(paused)
        assert read(subscription, paused, 50) == values[10:]


def test_large_messages_are_received_in_large_pieces(cluster: Cluster) -> None:
    cluster.create()
    value = bytes(range(256)) * 3_000
    cluster.send([(value, {})])
    with ExitStack() as clients:
        subscription = subscribed(cluster, clients, KafkaSource.model_validate(cluster.source()))
        assert read(subscription, TopicPartition(cluster.topic, 0), 1) == [value]
        connections = subscription.consumer._manager._conns.values()
        assert any(isinstance(each.transport._sock, RoomySocket) for each in connections if each.transport)


def poll_repeatedly(subscription: Subscription, times: int = 100) -> None:
    for _ in range(times):
        subscription.poll()


def test_a_member_notices_that_another_has_taken_its_name(cluster: Cluster) -> None:
    """It stayed ready, read nothing any more, and took nothing over when the other one left."""
    cluster.create()
    source = KafkaSource.model_validate({**cluster.source(instance="same"), "session_timeout_s": 1.0})
    with ExitStack() as clients:
        members = []
        for _ in range(2):
            members.append(subscribed(cluster, clients, source))
            while not members[-1].consumer.assignment():
                members[-1].poll()
        with pytest.raises(Unready, match=r"has taken the name 'same\.read': give each daemon a source\.instance of"):
            poll_repeatedly(members[0])
        poll_repeatedly(members[1], times=20)


def test_committed_transactions_survive_a_crash_and_aborted_ones_are_invisible(own_broker: KafkaBroker) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=own_broker.bootstrap)) as admin:
        admin.create_topics({TOPIC: {"num_partitions": 1}}, wait_for_metadata=True)
    with closing(KafkaProducer(bootstrap_servers=own_broker.bootstrap, transactional_id="writer")) as producer:
        producer.init_transactions()
        for number in range(4):
            producer.begin_transaction()
            producer.send(TOPIC, b"%d" % number)
            producer.flush()
            if number % 2:
                producer.abort_transaction()
            else:
                producer.commit_transaction()
    assert committed(own_broker, 2) == [b"0", b"2"]
    own_broker.kill()
    own_broker.start()
    assert committed(own_broker, 2) == [b"0", b"2"]
