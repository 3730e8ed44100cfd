"""Tells a topic from a later one of the same name, in which an offset committed for it means nothing."""

from __future__ import annotations

from uuid import UUID

import orjson

FIELD = "topic"
"""Of the metadata committed with an offset; older daemons ignore it."""

SHORT = 8
"""Characters of an identifier that are kept: both parts are random, and metadata is short."""


def identity_of(cluster: str | None, topic: UUID | None) -> str:
    """The identity of a topic; empty if its brokers number neither clusters nor topics."""
    return f"{cluster[:SHORT]}/{topic.hex[:SHORT]}" if cluster and topic else ""


def is_of_another(metadata: str, identity: str) -> bool:
    """Whether an offset was committed for an earlier topic of the same name.

    A topic in another cluster may be a copy with the same offsets, and counts as the same.

    Args:
        metadata: committed with the offset.
        identity: of the topic, from `identity_of`.
    """
    try:
        committed = str(orjson.loads(metadata)[FIELD]) if metadata else ""
    except (ValueError, KeyError, TypeError):
        return False
    (cluster, _, topic), (own_cluster, _, own_topic) = committed.partition("/"), identity.partition("/")
    return bool(topic and own_topic) and cluster == own_cluster and topic != own_topic
