"""Whether a consumer group is one daemon's, and its replicas': of two in one group each is given the other's panes."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from driftwatch.config import KafkaSource

log = structlog.get_logger("driftwatch.topics")


def shared_with(admin: KafkaAdminClient, source: KafkaSource) -> str:
    """What is wrong with a source's group, in words; nothing if its members read the source's topic."""
    try:
        told = admin.describe_groups([source.group])
    except KafkaError as error:
        log.debug("group not told", error=str(error) or type(error).__name__)
        return ""
    subscriptions = [member["member_metadata"] for member in told[source.group]["members"]]
    read = {topic for each in subscriptions if isinstance(each, Mapping) for topic in each["topics"]}
    others = ", ".join(sorted(read - {source.topic}))
    if not others:
        return ""
    return (
        f"group {source.group!r} reads {others} by now, for another daemon: each would be given panes of the other's "
        "streams, and put them to the dead letters"
    )
