"""The broker under the tests is the real thing: what it has acknowledged survives its being killed."""

from __future__ import annotations

from contextlib import closing

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from tests.broker import KafkaBroker

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


def test_transactions_and_crashes(own_broker: KafkaBroker) -> None:
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
