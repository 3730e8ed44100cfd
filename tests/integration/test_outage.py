"""A broker that goes away and comes back: the daemon reports it, waits, and continues where it was."""

from __future__ import annotations

from pathlib import Path

from tests.broker import KafkaBroker
from tests.integration.conftest import Cluster, RunningDaemon, StartDaemon
from tests.integration.test_recovery import config, drifting_stream, is_over


def readiness(daemon: RunningDaemon) -> int:
    return daemon.get("/readyz").status_code


def test_an_outage_of_the_broker_changes_no_alert(
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
    assert readiness(daemon) == 200

    own_broker.stop()  # not killed: in a crash Kafka itself may lose the outcome of a transaction, see docs/design.md
    daemon.wait_for("unreadiness", lambda: readiness(daemon) == 503)
    assert daemon.get("/healthz").status_code == 200, "a broker's outage is no reason to restart the daemon"
    own_broker.start()
    cluster.send(sent[half:])
    found = cluster.read("alerts", is_over)
    panes = cluster.read("panes", lambda panes: len(panes) >= 300)
    daemon.wait_for("readiness", lambda: readiness(daemon) == 200)
    daemon.stop()

    undisturbed_cluster = Cluster(own_broker.bootstrap, "calm")
    undisturbed_config = config(undisturbed_cluster, bundle)
    undisturbed_config["source"]["topic"] = cluster.topic
    start_daemon(undisturbed_config)
    expected = undisturbed_cluster.read("alerts", is_over)
    expected_panes = undisturbed_cluster.read("panes", lambda panes: len(panes) >= 300)
    assert [alert.value for alert in found] == [alert.value for alert in expected]
    assert [pane.value for pane in panes] == [pane.value for pane in expected_panes]


def test_stops_in_time_while_the_broker_is_down(
    own_broker: KafkaBroker, bundle: Path, start_daemon: StartDaemon
) -> None:
    cluster = Cluster(own_broker.bootstrap, "away")
    cluster.create()
    cluster.send(drifting_stream())
    daemon = start_daemon(config(cluster, bundle))
    daemon.wait_for("samples", lambda: daemon.metric("driftwatch_samples_total") >= 300)
    own_broker.kill()
    daemon.wait_for("unreadiness", lambda: readiness(daemon) == 503)
    assert daemon.stop() < 5.0


def test_starts_before_its_broker_and_connects_once_that_is_up(
    own_broker: KafkaBroker, bundle: Path, start_daemon: StartDaemon
) -> None:
    cluster = Cluster(own_broker.bootstrap, "early")
    cluster.create()
    cluster.send(drifting_stream())
    own_broker.stop()
    daemon = start_daemon(config(cluster, bundle))
    daemon.wait_for("report", lambda: any(line["event"] == "no connection" for line in daemon.lines()))
    assert readiness(daemon) == 503
    own_broker.start()
    assert is_over(cluster.read("alerts", is_over))
    assert readiness(daemon) == 200
