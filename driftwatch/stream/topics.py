"""The topics that driftwatch writes: created if missing, checked if present."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import structlog
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
)

from driftwatch.config import KafkaSource
from driftwatch.errors import SourceError
from driftwatch.stream.connecting import open_admin
from driftwatch.stream.groups import shared_with
from driftwatch.stream.losses import Unready
from driftwatch.stream.topic_rules import Complaint, TopicFound, TopicPlan, complaints, letter_bytes, plan_topics

OWN_GROUP = "give each a source.group of its own"

log = structlog.get_logger("driftwatch.topics")


@dataclass(frozen=True)
class TopicsSeen:
    """The cluster's topics that concern a source: those that exist, by name, and what is wrong with them."""

    found: Mapping[str, TopicFound]
    complaints: Sequence[Complaint] = ()


@dataclass(frozen=True)
class TopicsReady:
    """What roles need to know of the topics.

    Args:
        partitions: that streams are spread over.
        letter_bytes: of the longest message that the dead-letter topic takes.
    """

    partitions: int
    letter_bytes: int


class Topics:
    """The topics of a Kafka source. Thread-safe: if roles start together, one creates them while the others wait.

    Args:
        source: brokers and topics.
        alerts_topic: topic for alerts.
        own_group: whether only replicas of this daemon may be in its group. Where roles run in separate daemons, one
            that tests may serve several that score.
    """

    def __init__(self, source: KafkaSource, alerts_topic: str, *, own_group: bool = False) -> None:
        self._source = source
        self._alerts_topic = alerts_topic
        self._own_group = own_group
        self._logged: set[Complaint] = set()
        self._lock = threading.Lock()

    def ensure(self) -> TopicsReady:
        """Create missing topics, and check existing ones.

        Raises:
            Unready: the input topic does not exist yet, a topic may not be created, or another daemon uses the group.
            TopicAuthorizationFailedError: a topic may not be described, whether it exists or not.
            SourceError: a topic's settings would lose results or make them wrong.
            KafkaError: the brokers cannot be reached.
        """
        with self._lock, closing(open_admin(self._source)) as admin:
            if self._own_group and (shared := shared_with(admin, self._source)):
                raise Unready(f"{shared}; {OWN_GROUP}")
            plans = _plan(admin, self._source, self._alerts_topic)
            seen = _look(admin, self._source, plans)
            self._judge(seen.complaints)
            for plan in plans:
                if plan.name not in seen.found:
                    self._make(admin, plan)
        spread = next(plan.partitions for plan in plans if plan.role == "state")
        state = seen.found.get(self._source.topics.state)
        letters = seen.found.get(self._source.topics.dead_letters)
        return TopicsReady(state.partitions if state else spread, letter_bytes(self._source, letters))

    def _judge(self, described: Sequence[Complaint]) -> None:
        for complaint in described:
            if complaint.refused:
                raise SourceError(complaint.what, where=f"topic {complaint.topic}", remedy=complaint.remedy)
            if complaint not in self._logged:
                self._logged.add(complaint)
                log.warning("topic", topic=complaint.topic, found=complaint.what, remedy=complaint.remedy)

    def _make(self, admin: KafkaAdminClient, plan: TopicPlan) -> None:
        options = {
            "num_partitions": plan.partitions,
            "replication_factor": plan.replicas,
            "configs": dict(plan.settings),
        }
        try:
            admin.create_topics({plan.name: options}, wait_for_metadata=True)
        except TopicAlreadyExistsError:
            return  # another replica was faster
        except (TopicAuthorizationFailedError, ClusterAuthorizationFailedError):
            command = plan.command(self._source.bootstrap_servers[0])
            raise Unready(f"Kafka has no topic {plan.name!r}, and driftwatch may not create it: {command}") from None
        log.info("topic created", topic=plan.name, partitions=plan.partitions, replicas=plan.replicas)


def look_at_topics(source: KafkaSource, alerts_topic: str, *, own_group: bool = False) -> TopicsSeen:
    """Inspect the source's topics without creating any; complaints are found only if the input topic exists.

    Args:
        source: brokers and topics.
        alerts_topic: topic for alerts.
        own_group: see `Topics`.

    Raises:
        KafkaError: the brokers cannot be reached.
    """
    with closing(open_admin(source)) as admin:
        try:
            seen = _look(admin, source, _plan(admin, source, alerts_topic))
        except Unready:
            return TopicsSeen(find_topics(admin))
        if own_group and (shared := shared_with(admin, source)):
            waits = Complaint(
                source.topic, f"{shared}; the daemon would wait until nobody does", OWN_GROUP, refused=False
            )
            return replace(seen, complaints=[*seen.complaints, waits])
        return seen


def _plan(admin: KafkaAdminClient, source: KafkaSource, alerts_topic: str) -> list[TopicPlan]:
    found = find_topics(admin, [source.topic, *source.topics.model_dump().values(), alerts_topic])
    if source.topic not in found:
        raise Unready(f"Kafka has no topic {source.topic!r} yet: create it, or publish to it")
    return plan_topics(source, alerts_topic, found, len(admin.describe_cluster()["brokers"]))


def _look(admin: KafkaAdminClient, source: KafkaSource, plans: Sequence[TopicPlan]) -> TopicsSeen:
    found = find_topics(admin, [source.topic, *(plan.name for plan in plans)])
    described = _settings(admin, list(found))
    found = {name: replace(topic, settings=described.get(name)) for name, topic in found.items()}
    return TopicsSeen(found, complaints(source, plans, found))


def find_topics(admin: KafkaAdminClient, names: Sequence[str] | None = None) -> dict[str, TopicFound]:
    """The topics that exist among `names`, or all that are visible; without their settings.

    Raises:
        TopicAuthorizationFailedError: a named topic may not be described, whether it exists or not.
    """
    described = admin.describe_topics(None if names is None else list(dict.fromkeys(names)))
    denied = {topic["name"] for topic in described if topic["error_code"] == TopicAuthorizationFailedError.errno}
    if denied:
        raise TopicAuthorizationFailedError(denied)
    return {
        topic["name"]: TopicFound(
            len(topic["partitions"]), min((len(each["replica_nodes"]) for each in topic["partitions"]), default=0)
        )
        for topic in described
        if topic["partitions"]
    }


def _settings(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """The settings of topics, as far as the broker reveals them."""
    try:
        described = admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name) for name in names], config_filter="all"
        )
    except KafkaError as error:
        log.debug("settings not available", error=str(error) or type(error).__name__)
        return {}
    return {
        name: {key: each["value"] for key, each in settings.items() if each["value"] is not None}
        for name, settings in described.get("topic", {}).items()
        if settings
    }
