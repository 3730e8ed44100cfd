"""The topics that driftwatch writes: made if they are missing, checked if they are there."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError

from driftwatch.config import KafkaSource
from driftwatch.errors import SourceError
from driftwatch.stream.kafka_clients import Unready

CONNECT_MS = 10_000
ALERTS_KEPT_MS = 30 * 24 * 3_600_000
"""Within a month no alert is removed from the alerts topic, be there newer ones of its stream or not."""


def ensure_topics(source: KafkaSource, alerts_topic: str) -> None:
    """Makes the topics that are missing, with as many partitions as the input has where order by stream matters.

    Raises:
        Unready: the input topic does not exist yet.
        SourceError: the state topic does not fit the panes topic.
        KafkaError: the brokers cannot be reached.
    """
    topics = source.topics
    with closing(KafkaAdminClient(bootstrap_timeout_ms=CONNECT_MS, **source.client_options())) as admin:
        found = partitions_of(admin)
        if source.topic not in found:
            raise Unready(f"Kafka has no topic {source.topic!r} yet: create it, or publish to it")
        spread = found.get(topics.panes, found[source.topic])
        large = {"max.message.bytes": str(2 * source.max_message_bytes)}
        wanted: dict[str, dict[str, Any]] = {
            topics.panes: {"num_partitions": spread, "configs": large},
            topics.state: {"num_partitions": spread, "configs": {"cleanup.policy": "compact"}},
            topics.windows: {"num_partitions": spread},
            # The last alert of each stream is kept for ever: it says whether the stream fires.
            alerts_topic: {
                "num_partitions": 1,
                "configs": {"cleanup.policy": "compact", "min.compaction.lag.ms": str(ALERTS_KEPT_MS)},
            },
            topics.dead_letters: {"num_partitions": 1, "configs": large},
        }
        for name, options in wanted.items():
            if name not in found:
                try:
                    admin.create_topics({name: options}, wait_for_metadata=True)
                except TopicAlreadyExistsError:
                    continue  # another replica was quicker
        found = partitions_of(admin)
    if found.get(topics.state, spread) != found.get(topics.panes, spread):
        raise SourceError(
            f"topic {topics.state} has {found[topics.state]} partitions, {topics.panes} {found[topics.panes]}",
            where="source.topics",
            remedy="delete the state topic, or name another: it needs as many as the panes topic",
        )


def partitions_of(admin: KafkaAdminClient) -> dict[str, int]:
    """The number of partitions of every topic that may be seen."""
    return {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
