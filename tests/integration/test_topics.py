"""Topics on a real broker: created with the right settings, refused with a command where settings are wrong."""

from __future__ import annotations

from contextlib import closing

import pytest
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import ConfigResource, ConfigResourceType

from driftwatch.config import KafkaSource
from driftwatch.errors import SourceError
from driftwatch.stream.losses import Unready
from driftwatch.stream.subscription import JOIN_POLL_MS
from driftwatch.stream.topics import Topics, look_at_topics
from tests.integration.conftest import Cluster


def alter(cluster: Cluster, topic: str, **settings: str) -> None:
    configs = {key.replace("_", "."): value for key, value in settings.items()}
    with closing(KafkaAdminClient(bootstrap_servers=cluster.bootstrap)) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])


def test_a_daemon_waits_while_its_group_reads_another_topic(cluster: Cluster) -> None:
    """Two daemons of the default group on one cluster took each other's panes for dead letters and reported nothing."""
    cluster.create()
    source = KafkaSource(**cluster.source())
    other = source.model_copy(update={"topic": f"{cluster.topic}-other"})
    with closing(KafkaAdminClient(bootstrap_servers=cluster.bootstrap)) as admin:
        admin.create_topics({other.topic: {"num_partitions": 1}}, wait_for_metadata=True)
    alerts = source.topics.alerts
    with closing(KafkaConsumer(bootstrap_servers=cluster.bootstrap, group_id=source.group)) as member:
        # As roles join: knowing the partitions, and with enough time; else kafka-python may lose its membership.
        assert member.partitions_for_topic(other.topic) == {0}
        member.subscribe([other.topic])
        while not member.assignment():
            member.poll(timeout_ms=JOIN_POLL_MS)
        expected = f"group '{source.group}' currently reads {other.topic} for another daemon"
        with pytest.raises(Unready, match=f"{expected}.*give each a source.group of its own"):
            Topics(source, alerts, own_group=True).ensure()
        Topics(source, alerts).ensure()
        Topics(other, other.topics.alerts, own_group=True).ensure()
        (complaint,) = look_at_topics(source, alerts, own_group=True).complaints
        assert expected in complaint.what
        assert not complaint.refused
        assert not look_at_topics(source, alerts).complaints
    Topics(source, alerts, own_group=True).ensure()


def test_topics_are_created_reused_and_refused_if_their_settings_are_wrong(cluster: Cluster) -> None:
    source = KafkaSource(**cluster.source())
    alerts = source.topics.alerts
    with pytest.raises(Unready, match="no topic"):
        Topics(source, alerts).ensure()
    assert not look_at_topics(source, alerts).complaints
    cluster.create(3)

    Topics(source, alerts).ensure()
    seen = look_at_topics(source, alerts)
    spread = {role: seen.found[name].partitions for role, name in source.topics.model_dump().items()}
    assert spread == {"panes": 3, "state": 3, "windows": 3, "alerts": 1, "dead_letters": 1}
    assert seen.complaints == []
    Topics(source, alerts).ensure()  # again: nothing is created, nothing refused

    alter(cluster, source.topics.panes, retention_ms="60000")
    with pytest.raises(SourceError, match=r"retention.ms=60000.*kafka-configs\.sh .* retention.ms=604800000") as error:
        Topics(source, alerts).ensure()
    assert error.value.where == f"topic {source.topics.panes}"
    alter(cluster, source.topics.panes, retention_ms="604800000")
    Topics(source, alerts).ensure()
