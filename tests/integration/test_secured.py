"""A daemon on a broker that requires TLS, a password and a client certificate; and what it reports without them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from driftwatch.reference.reference import Reference
from driftwatch.stream import connecting
from tests.broker import KafkaBroker, start_broker
from tests.cluster import Cluster
from tests.integration.conftest import StartDaemon, require_apache_kafka
from tests.integration.test_recovery import config, messages
from tests.synthetic import waves
from tests.threads import daemon_of, running

SECURED = """
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:SASL_SSL
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},PROXIED://127.0.0.1:{{inner}}
sasl.enabled.mechanisms=PLAIN
listener.name.proxied.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_watcher="secret";
listener.name.proxied.ssl.keystore.type=PEM
listener.name.proxied.ssl.keystore.location={folder}/broker.pem
listener.name.proxied.ssl.truststore.type=PEM
listener.name.proxied.ssl.truststore.location={folder}/ca.pem
listener.name.proxied.ssl.client.auth=required
"""


def write_key(path: Path, certificate: trustme.LeafCert, lock: KeySerializationEncryption) -> None:
    """Write a key in PKCS #8, the only format that Java reads."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of the broker and of a client, issued by one authority; and another authority."""
    folder, authority = tmp_path_factory.mktemp("certificates"), trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "another.pem")
    broker, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("watcher.example.com")
    write_key(folder / "broker.pem", broker, NoEncryption())
    with (folder / "broker.pem").open("ab") as file:
        file.write(broker.cert_chain_pems[0].bytes())
    write_key(folder / "client.key", client, BestAvailableEncryption(b"open sesame"))
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    return folder


@pytest.fixture(scope="module")
def secured_broker(folder: Path) -> Iterator[KafkaBroker]:
    require_apache_kafka()
    with start_broker(None, SECURED.format(folder=folder)) as broker:
        yield broker


def secured(broker: KafkaBroker, folder: Path, cluster: Cluster, bundle: Path, **changes: Any) -> dict[str, Any]:
    security = {
        "protocol": "SASL_SSL",
        "ssl_cafile": str(folder / "ca.pem"),
        "ssl_certfile": str(folder / "client.pem"),
        "ssl_keyfile": str(folder / "client.key"),
        "ssl_password": "open sesame",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "watcher",
        "sasl_password": "secret",
        **changes,
    }
    source = cluster.source(bootstrap_servers=[f"127.0.0.1:{broker.proxied}"], security=security)
    return config(cluster, bundle, source=source)


def test_samples_are_scored_over_tls_with_a_client_certificate(
    secured_broker: KafkaBroker, folder: Path, bundle: Path, start_daemon: StartDaemon
) -> None:
    cluster = Cluster(secured_broker.bootstrap, "secured")
    cluster.create()
    cluster.send(messages(waves(200, seed=1)))
    daemon = start_daemon(secured(secured_broker, folder, cluster, bundle))
    daemon.wait_for("scores", lambda: daemon.metric("driftwatch_samples_total") == 200)
    daemon.wait_for("windows", lambda: daemon.metric("driftwatch_window_p_value") > 0)
    assert daemon.get("/readyz").status_code == 200
    assert daemon.stop() < 10


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ssl_cafile": "another.pem"}, "ssl_cafile must hold the authority of the brokers' certificates"),
        ({"sasl_password": "wrong"}, "Invalid username or password; see sasl_username and sasl_password"),
        ({"sasl_mechanism": "SCRAM-SHA-256"}, "see sasl_mechanism"),
    ],
)
def test_readiness_says_why_there_is_no_connection(
    secured_broker: KafkaBroker,
    folder: Path,
    bundle: Path,
    reference: Reference,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str],
    reason: str,
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_MS", 1_000)  # kafka-python tries for so long before it reports
    cluster = Cluster(secured_broker.bootstrap, "unsecured")
    security = {key: str(folder / value) if key == "ssl_cafile" else value for key, value in changes.items()}
    daemon = daemon_of(secured(secured_broker, folder, cluster, bundle, **security), reference)
    with running(daemon, "score") as threads:
        health = threads.monitor.health
        threads.wait_for("reason", lambda: reason in str(health.ready()))
        assert not health.ready()[0]
        assert health.alive()[0]
        assert threads.metric('driftwatch_source_connected{role="score"}') == 0
