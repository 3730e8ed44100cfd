"""What ``check`` contacts: the broker's topics and the schema registry's types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeVar

from driftwatch.errors import ConfigError

if TYPE_CHECKING:
    from driftwatch.config import KafkaConnection, KafkaSource
    from driftwatch.stream.topic_rules import Complaint, TopicFound

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class TopicState:
    """A topic and its number of partitions; 0 if it does not exist yet."""

    topic: str
    role: str
    partitions: int


def registry_types(source: KafkaSource) -> str:
    """The schema registry's address and the types that it reports; empty if none is configured."""
    from contextlib import closing

    from driftwatch.stream.registry import open_registry

    if source.schema_registry is None:
        return ""
    with closing(open_registry(source.schema_registry)) as registry:
        return f"{registry.destination}: {', '.join(registry.types())}"


def source_topics(
    source: KafkaSource, alerts_topic: str, *, own_group: bool
) -> tuple[list[TopicState], Sequence[Complaint]]:
    """The topics that a source reads and writes, and what is wrong with them; its input topic must exist."""
    from driftwatch.stream.topics import look_at_topics

    seen = _reached(source, lambda: look_at_topics(source, alerts_topic, own_group=own_group))
    named = {"input": source.topic, **source.topics.model_dump(), "alerts": alerts_topic}
    return _states(named, seen.found, "source.topic"), seen.complaints


def forward_topics(forward: KafkaConnection, topic: str) -> list[TopicState]:
    """The topic that a forwarder writes to; it must exist."""
    from contextlib import closing

    from driftwatch.stream.connecting import open_admin
    from driftwatch.stream.topics import find_topics

    def find() -> dict[str, TopicFound]:
        with closing(open_admin(forward)) as admin:
            return find_topics(admin)

    return _states({"input": topic}, _reached(forward, find), "source.forward.topic")


def _reached(kafka: KafkaConnection, ask: Callable[[], Answer]) -> Answer:
    import logging

    from kafka.errors import KafkaError

    from driftwatch.stream.publish import unreachable

    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        return ask()
    except (KafkaError, OSError) as error:
        raise unreachable(kafka, error) from error


def _states(named: Mapping[str, str], found: Mapping[str, TopicFound], where: str) -> list[TopicState]:
    if (wanted := named["input"]) not in found:
        near = get_close_matches(wanted, found, n=1, cutoff=0.75)
        create = "create it, with driftwatch publish --create-topic 1 for example"
        raise ConfigError(
            f"Kafka has no topic {wanted!r}",
            where=where,
            remedy=f"did you mean {near[0]!r}? Otherwise {create}"
            if near
            else f"{create}; existing topics: {', '.join(sorted(found)[:8]) or 'none'}",
        )
    return [TopicState(topic, role, found[topic].partitions if topic in found else 0) for role, topic in named.items()]
