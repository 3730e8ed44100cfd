"""How fast messages are read from a topic, and where the time goes."""

from __future__ import annotations

import cProfile
import pstats
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import closing
from typing import Any, Literal, get_args

from kafka import KafkaConsumer, TopicPartition

from benchmarks.kafka_path.material import SCHEMA, Meter, Spent, Topic, without_library
from driftwatch.data.codecs import decode
from driftwatch.freed_memory import keep_freed_memory
from driftwatch.stream.kafka_batches import record_of
from driftwatch.stream.kafka_clients import FETCH_MAX_BYTES
from driftwatch.stream.receiving import receive_more

FETCH = {"max_partition_fetch_bytes": 16 << 20, "fetch_max_bytes": FETCH_MAX_BYTES, "max_poll_records": 500}
"""The score role's settings."""

Help = Literal["keep_freed_memory", "receive_more"]
HELPS: tuple[Help, ...] = get_args(Help)


def drain(
    bootstrap: str, topic: Topic, library: bool, options: Mapping[str, Any], helps: Collection[Help] = HELPS
) -> Spent:
    """Read a whole topic with kafka-python and discard it.

    Args:
        bootstrap: bootstrap address of the broker.
        topic: topic to read.
        library: whether a library computes checksums.
        options: further options of the consumer.
        helps: the daemon's optimisations to apply besides its options.
    """
    if not library:
        without_library()
    if "keep_freed_memory" in helps:
        keep_freed_memory()
    places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    with closing(
        KafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=None,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            **{**FETCH, **options},
        )
    ) as consumer:
        if "receive_more" in helps:
            receive_more(consumer)
        consumer.assign(places)
        for place in places:
            consumer.position(place)
        meter, found = Meter(), 0
        while found < topic.messages:
            found += sum(map(len, consumer.poll(timeout_ms=200).values()))
        return meter.read()


def decode_all(bootstrap: str, topic: Topic) -> Spent:
    """Read a whole topic with kafka-python and decode it into samples, as the score role does."""
    place = TopicPartition(topic.name, 0)
    with closing(KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, **FETCH)) as consumer:
        consumer.assign([place])
        consumer.seek(place, 0)
        meter, found = Meter(), 0
        while found < topic.messages:
            for message in consumer.poll(timeout_ms=200).get(place, ()):
                record = record_of(message)
                decode(record.value, record.header, SCHEMA)
                found += 1
        return meter.read()


def drain_librdkafka(bootstrap: str, topic: Topic) -> Spent:
    """Read a whole topic with confluent-kafka and discard it."""
    from confluent_kafka import Consumer  # type: ignore[import-not-found]
    from confluent_kafka import TopicPartition as Place

    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "none",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "check.crcs": True,
            "fetch.message.max.bytes": 16 << 20,
        }
    )
    consumer.assign([Place(topic.name, 0, 0)])
    meter, found = Meter(), 0
    while found < topic.messages:
        for message in consumer.consume(500, timeout=0.2):
            message.value(), message.headers(), message.timestamp(), message.key(), message.offset()
            found += 1
    spent = meter.read()
    consumer.close()
    return spent


def profile(bootstrap: str, topic: Topic, library: bool, most: int = 10) -> list[tuple[str, float]]:
    """The functions in which draining a topic spends processor time, in µs per message over all threads.

    The profiler's own cost is included, so shares mean more than sums.
    """
    profiles: list[cProfile.Profile] = []

    def begin(*_: object) -> None:
        profiles.append(cProfile.Profile(time.thread_time))
        profiles[-1].enable()

    threading.setprofile(begin)
    mine = cProfile.Profile(time.thread_time)
    mine.enable()
    drain(bootstrap, topic, library, {})
    mine.disable()
    threading.setprofile(None)
    stats = pstats.Stats(mine)
    for each in profiles:
        stats.add(each)
    rows = [
        (f"{'/'.join(file.split('/')[-2:])}: {name}" if line else name, 1e6 * own / topic.messages)
        for (file, line, name), (_, _, own, _, _) in stats.stats.items()  # type: ignore[attr-defined]
    ]
    return sorted(rows, key=lambda row: -row[1])[:most]
