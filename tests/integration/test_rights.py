"""A daemon with only the rights in docs/operating.md works; it names a right that is taken away, and recovers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)

from driftwatch.reference.reference import Reference
from driftwatch.stream.events import Progress, SamplesScored, WindowTested
from tests.broker import KafkaBroker, start_broker
from tests.cluster import Cluster
from tests.integration.conftest import require_apache_kafka
from tests.integration.test_recovery import config, messages
from tests.synthetic import waves
from tests.threads import daemon_of, running

GUARDED = """
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:SASL_PLAINTEXT
advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{inner}
sasl.enabled.mechanisms=PLAIN
listener.name.proxied.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_watcher="secret";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
READ, WRITE, CREATE = ACLOperation.READ, ACLOperation.WRITE, ACLOperation.CREATE


@pytest.fixture
def guarded_broker() -> Iterator[KafkaBroker]:
    """A broker with an authorizer; clients of its port `proxied` are a user who has no rights yet."""
    require_apache_kafka()
    with start_broker(None, GUARDED) as broker:
        yield broker


def right(kind: ResourceType, name: str, operation: ACLOperation) -> ACL:
    form = ACLResourcePatternType.PREFIXED if name.endswith(".") else ACLResourcePatternType.LITERAL
    pattern = ResourcePattern(kind, name, form)
    return ACL("User:watcher", "*", operation, ACLPermissionType.ALLOW, pattern)


def exactly(acl: ACL) -> ACLFilter:
    pattern = acl.resource_pattern
    return ACLFilter(
        acl.principal,
        acl.host,
        acl.operation,
        acl.permission_type,
        ResourcePatternFilter(pattern.resource_type, pattern.resource_name, pattern.pattern_type),
    )


def test_the_documented_rights_suffice_and_a_missing_one_is_named(
    guarded_broker: KafkaBroker, bundle: Path, reference: Reference
) -> None:
    cluster = Cluster(guarded_broker.bootstrap, "guarded")
    cluster.create()
    cluster.send(messages(waves(350, seed=1)))
    settings = config(cluster, bundle)
    settings["source"]["bootstrap_servers"] = [f"127.0.0.1:{guarded_broker.proxied}"]
    settings["source"]["security"] = {
        "protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "watcher",
        "sasl_password": "secret",
    }
    topics = {role: cluster.named(role) for role in ("panes", "state", "alerts", "windows", "dead_letters")}
    reading = right(ResourceType.TOPIC, cluster.topic, READ)
    rights = [
        right(ResourceType.GROUP, "guarded", READ),
        right(ResourceType.GROUP, "guarded.", READ),
        right(ResourceType.TRANSACTIONAL_ID, "guarded.", WRITE),
        *(right(ResourceType.TOPIC, topics[role], READ) for role in ("panes", "state", "alerts")),
        *(right(ResourceType.TOPIC, name, WRITE) for name in topics.values()),
        right(ResourceType.TOPIC, "guarded.", CREATE),
    ]
    with (
        closing(KafkaAdminClient(bootstrap_servers=guarded_broker.bootstrap)) as admin,
        running(daemon_of(settings, reference)) as daemon,
    ):

        def denied(name: str) -> bool:
            losses = daemon.seen(Progress, kind="source_lost", reason="authorization")
            return any(name in loss.detail and "operating.md" in loss.detail for loss in losses)

        def scored() -> int:
            return sum(event.samples for event in daemon.seen(SamplesScored))

        daemon.wait_for("a denial", lambda: denied(cluster.topic))
        admin.create_acls([reading, *rights])
        daemon.wait_for("windows", lambda: len(daemon.seen(WindowTested)) == 60)
        assert daemon.monitor.health.ready()[0]
        daemon.events.clear()
        admin.delete_acls([exactly(reading)])
        cluster.send(messages(waves(70, seed=2)))
        daemon.wait_for("a denial", lambda: denied(cluster.topic))
        ready, detail = daemon.monitor.health.ready()
        assert not ready
        assert cluster.topic in detail["checks"]["source"]
        assert daemon.metric('driftwatch_source_losses_total{reason="authorization",role="score"}') >= 1
        admin.create_acls([reading])
        daemon.wait_for("the rest", lambda: scored() == 70)
