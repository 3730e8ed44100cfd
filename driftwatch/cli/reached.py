"""What ``check`` reaches for, and what it finds there: the broker's topics, the schema registry's types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftwatch.errors import ConfigError

if TYPE_CHECKING:
    from driftwatch.config import KafkaConnection, KafkaSource


@dataclass(frozen=True)
class TopicState:
    """A topic, and its partitions; none if it does not exist yet."""

    topic: str
    role: str
    partitions: int


def registry_types(source: KafkaSource) -> str:
    """Where the schema registry is and what it holds, as it says itself; empty where none is configured."""
    from contextlib import closing

    from driftwatch.stream.registry import open_registry

    if source.schema_registry is None:
        return ""
    with closing(open_registry(source.schema_registry)) as registry:
        return f"{registry.told}: {', '.join(registry.types())}"


def topic_states(kafka: KafkaConnection, named: Mapping[str, str], where: str) -> list[TopicState]:
    """Partitions of topics by their role; there must be one of the role ``input``."""
    import logging
    from contextlib import closing

    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    from driftwatch.stream.publish import CONNECT_MS, unreachable

    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        with closing(KafkaAdminClient(bootstrap_timeout_ms=CONNECT_MS, **kafka.client_options())) as admin:
            found = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
    except (KafkaError, OSError) as error:
        raise unreachable(kafka, error) from error
    if named["input"] not in found:
        raise ConfigError(
            f"Kafka has no topic {named['input']!r}",
            where=where,
            remedy="create it, as driftwatch publish --create-topic 1 does; "
            f"there are {', '.join(sorted(found)[:8]) or 'none'}",
        )
    return [TopicState(topic, role, found.get(topic, 0)) for role, topic in named.items()]
