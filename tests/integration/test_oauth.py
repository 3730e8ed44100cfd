"""A daemon on a broker that requires OAuth 2.0 tokens: from an authorization server, which may be down, or a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from driftwatch.reference.reference import Reference
from driftwatch.stream import connecting
from tests.broker import KafkaBroker, start_broker
from tests.broker.broker import QUICK_START
from tests.cluster import Cluster
from tests.integration.conftest import StartDaemon, require_apache_kafka
from tests.integration.test_recovery import config, messages
from tests.issuer import SCOPE, Signer, allowed, issuer, listener
from tests.synthetic import waves
from tests.threads import daemon_of, running

LIFE_S = 16.0


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture(scope="module")
def token_broker(signer: Signer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    require_apache_kafka()
    keys = tmp_path_factory.mktemp("keys") / "jwks.json"
    keys.write_text(json.dumps(signer.keys()))
    with start_broker(None, listener(keys), java=(*QUICK_START, allowed(keys))) as broker:
        yield broker


def token_config(broker: KafkaBroker, cluster: Cluster, bundle: Path, **security: Any) -> dict[str, Any]:
    bearer = {"protocol": "SASL_PLAINTEXT", "sasl_mechanism": "OAUTHBEARER", **security}
    source = cluster.source(bootstrap_servers=[f"127.0.0.1:{broker.proxied}"], security=bearer)
    return config(cluster, bundle, source=source, log={"level": "debug"})


def test_tokens_are_renewed_while_samples_are_scored(
    token_broker: KafkaBroker, signer: Signer, bundle: Path, start_daemon: StartDaemon
) -> None:
    cluster = Cluster(token_broker.bootstrap, "tokens")
    cluster.create()
    cluster.send(messages(waves(100, seed=1)))
    with issuer(signer, LIFE_S) as server:
        oauth = {"token_url": server.url, "client_id": "me", "client_secret": "hunter2", "scope": SCOPE}
        daemon = start_daemon(token_config(token_broker, cluster, bundle, oauth=oauth))
        daemon.wait_for("scores", lambda: daemon.metric("driftwatch_samples_total") == 100)
        first = len(server.requests)
        # Connections stay open: the broker would close them at the end of a token's life.
        daemon.wait_for("two more tokens", lambda: len(server.requests) >= first + 2)
        cluster.send(messages(waves(100, seed=2)))
        daemon.wait_for("more scores", lambda: daemon.metric("driftwatch_samples_total") == 200)
        daemon.wait_for("readiness", lambda: daemon.get("/readyz").status_code == 200)
        written = "".join(map(json.dumps, daemon.lines()))
        assert "hunter2" not in written
        assert "eyJ" not in written, "the start of any token"
        assert daemon.stop() < 10


def test_readiness_says_why_there_is_no_token(
    token_broker: KafkaBroker, signer: Signer, bundle: Path, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_MS", 1_000)  # kafka-python tries for so long before it reports
    cluster = Cluster(token_broker.bootstrap, "none")
    with issuer(signer) as server:
        oauth = {"token_url": server.url, "client_id": "me", "client_secret": "barley"}
        daemon = daemon_of(token_config(token_broker, cluster, bundle, oauth=oauth), reference)
        reason = f"authorization server {server.url.removesuffix('/token')} answered 401 invalid_client who is this?"
        with running(daemon, "score") as threads:
            health = threads.monitor.health
            threads.wait_for("reason", lambda: reason in str(health.ready()))
            assert not health.ready()[0]
            assert health.alive()[0]


def test_a_token_in_a_file_is_used_as_soon_as_brokers_accept_it(
    token_broker: KafkaBroker, signer: Signer, bundle: Path, tmp_path: Path, start_daemon: StartDaemon
) -> None:
    cluster = Cluster(token_broker.bootstrap, "file")
    cluster.create()
    cluster.send(messages(waves(100, seed=1)))
    file = tmp_path / "token"
    file.write_text(Signer().token(3_600))
    daemon = start_daemon(token_config(token_broker, cluster, bundle, oauth_token_file=str(file)))
    daemon.wait_for("a reason", lambda: "the brokers reject the token" in daemon.get("/readyz").text)
    file.write_text(signer.token(3_600) + "\n")
    daemon.wait_for("scores", lambda: daemon.metric("driftwatch_samples_total") == 100)
