"""Whether a consumer group belongs to one daemon and its replicas; two daemons in one would get each other's panes."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from driftwatch.config import KafkaSource

log = structlog.get_logger("driftwatch.topics")


def shared_with(admin: KafkaAdminClient, source: KafkaSource) -> str:
    """What is wrong with a source's group, in words; empty if its members read only the source's topic."""
    try:
        described = admin.describe_groups([source.group])
    except KafkaError as error:
        log.debug("group not described", error=str(error) or type(error).__name__)
        return ""
    subscriptions = [member["member_metadata"] for member in described[source.group]["members"]]
    read = {topic for each in subscriptions if isinstance(each, Mapping) for topic in each["topics"]}
    others = ", ".join(sorted(read - {source.topic}))
    if not others:
        return ""
    return (
        f"group {source.group!r} currently reads {others} for another daemon: each would receive panes of the other's "
        "streams, and send them to the dead letters"
    )
