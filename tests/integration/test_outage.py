"""A broker that goes away and comes back: the daemon says so, waits, and goes on where it was."""

from __future__ import annotations

from pathlib import Path

from tests.broker import KafkaBroker
from tests.integration.conftest import Cluster, RunningDaemon, StartDaemon
from tests.integration.test_recovery import config, drifting_stream, is_over


def states_of_readiness(daemon: RunningDaemon) -> int:
    return daemon.get("/readyz").status_code


def test_a_broker_that_goes_and_returns_changes_no_alert(
    own_broker: KafkaBroker, bundle: Path, start_daemon: StartDaemon
) -> None:
    cluster = Cluster(own_broker.bootstrap, "outage")
    cluster.create()
    sent = drifting_stream()
    half = len(sent) // 2
    cluster.send(sent[:half])
    slow = config(cluster, bundle)
    slow["source"]["max_poll_records"] = 3
    daemon = start_daemon(slow)
    daemon.wait_for("samples", lambda: daemon.metric("driftwatch_samples_total") >= 300)
    assert states_of_readiness(daemon) == 200

    own_broker.stop()  # a crash may make Kafka itself forget how a transaction ended: docs/design.md
    daemon.wait_for("word of it", lambda: states_of_readiness(daemon) == 503)
    assert daemon.get("/healthz").status_code == 200, "a broker that is away is no reason to restart the daemon"
    own_broker.start()
    cluster.send(sent[half:])
    found = cluster.read("alerts", is_over)
    panes = cluster.read("panes", lambda panes: len(panes) >= 300)
    daemon.wait_for("readiness", lambda: states_of_readiness(daemon) == 200)
    daemon.stop()

    calm = Cluster(own_broker.bootstrap, "calm")
    undisturbed = config(calm, bundle)
    undisturbed["source"]["topic"] = cluster.topic
    start_daemon(undisturbed)
    expected = calm.read("alerts", is_over)
    expected_panes = calm.read("panes", lambda panes: len(panes) >= 300)
    assert [alert.value for alert in found] == [alert.value for alert in expected]
    assert [pane.value for pane in panes] == [pane.value for pane in expected_panes]


def test_stops_in_time_while_the_broker_is_away(
    own_broker: KafkaBroker, bundle: Path, start_daemon: StartDaemon
) -> None:
    cluster = Cluster(own_broker.bootstrap, "away")
    cluster.create()
    cluster.send(drifting_stream())
    daemon = start_daemon(config(cluster, bundle))
    daemon.wait_for("samples", lambda: daemon.metric("driftwatch_samples_total") >= 300)
    own_broker.kill()
    daemon.wait_for("word of it", lambda: states_of_readiness(daemon) == 503)
    assert daemon.stop() < 5.0


def test_starts_before_its_broker_and_connects_when_that_is_there(
    own_broker: KafkaBroker, bundle: Path, start_daemon: StartDaemon
) -> None:
    cluster = Cluster(own_broker.bootstrap, "early")
    cluster.create()
    cluster.send(drifting_stream())
    own_broker.stop()
    daemon = start_daemon(config(cluster, bundle))
    daemon.wait_for("word of it", lambda: any(line["event"] == "no connection" for line in daemon.lines()))
    assert states_of_readiness(daemon) == 503
    own_broker.start()
    assert is_over(cluster.read("alerts", is_over))
    assert states_of_readiness(daemon) == 200
