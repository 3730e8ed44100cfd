"""Topics on a real broker: made as they should be, refused with the command where they are not."""

from __future__ import annotations

from contextlib import closing

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from driftwatch.config import KafkaSource
from driftwatch.errors import SourceError
from driftwatch.stream.losses import Unready
from driftwatch.stream.topics import Topics, look_at_topics
from tests.integration.conftest import Cluster


def alter(cluster: Cluster, topic: str, **settings: str) -> None:
    configs = {key.replace("_", "."): value for key, value in settings.items()}
    with closing(KafkaAdminClient(bootstrap_servers=cluster.bootstrap)) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])


def test_topics_are_made_kept_to_and_refused(cluster: Cluster) -> None:
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
    Topics(source, alerts).ensure()  # again: nothing is made, nothing refused

    alter(cluster, source.topics.panes, retention_ms="60000")
    with pytest.raises(SourceError, match=r"retention.ms=60000.*kafka-configs\.sh .* retention.ms=604800000") as error:
        Topics(source, alerts).ensure()
    assert error.value.where == f"topic {source.topics.panes}"
    alter(cluster, source.topics.panes, retention_ms="604800000")
    Topics(source, alerts).ensure()
