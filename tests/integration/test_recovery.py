"""A killed daemon continues where it was: the same panes, the same alerts, to the byte."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from kafka import KafkaProducer

from driftwatch.data.codecs import encode
from tests.integration.conftest import Cluster, StartDaemon
from tests.synthetic import SCHEMA, shuffled_rows, waves

STREAM = "waves"
BATCH = 7
SESSION_S = 60
"""Many times as long as joining a group takes, also on a slow machine."""


def messages(*parts: np.ndarray) -> list[tuple[bytes, dict[str, bytes]]]:
    samples = np.concatenate(parts)
    sent = []
    for number, start in enumerate(range(0, len(samples), BATCH)):
        value, headers = encode(samples[start : start + BATCH], SCHEMA, ("npy", "json", "v2", "arrow")[number % 4])
        sent.append((value, {**headers, "driftwatch-stream": STREAM.encode()}))
    return sent


def drifting_stream() -> list[tuple[bytes, dict[str, bytes]]]:
    drifted = shuffled_rows(waves(600, seed=12))
    return messages(waves(1_500, seed=11), drifted, waves(900, seed=13))


def config(cluster: Cluster, bundle: Path, **more: Any) -> dict[str, Any]:
    return {
        "source": cluster.source(),
        "streams": [{"name": STREAM, "reference": str(bundle)}],
        "windows": {"sizes": [20, 100], "step": 10},
        **more,
    }


def states(alerts: list[Any]) -> list[str]:
    return [orjson.loads(alert.value)["data"]["state"] for alert in alerts]


def is_over(alerts: list[Any]) -> bool:
    return "resolved" in states(alerts)


def test_kill_9_changes_no_alert(cluster: Cluster, bundle: Path, start_daemon: StartDaemon) -> None:
    cluster.create()
    undisturbed = Cluster(cluster.bootstrap, f"{cluster.prefix}u")
    sent = drifting_stream()
    cluster.send(sent)
    # The same input topic, so that offsets in alerts are the same; all other topics differ.
    other = config(undisturbed, bundle)
    other["source"]["topic"] = cluster.topic
    undisturbed_daemon = start_daemon(other)
    expected = undisturbed.read("alerts", is_over)
    total = len(np.concatenate([waves(1_500), waves(600), waves(900)])) // 10
    panes = undisturbed.read("panes", lambda found: len(found) >= total)
    undisturbed_daemon.stop()

    # Small polls make many small transactions, so that kills hit the middle of the stream.
    slow = config(cluster, bundle)
    slow["source"]["max_poll_records"] = 3
    for _ in range(3):
        daemon = start_daemon(slow)
        daemon.wait_for("samples", lambda daemon=daemon: daemon.metric("driftwatch_samples_total") >= 300)
        daemon.kill()
    last = start_daemon(slow)
    found = cluster.read("alerts", is_over)
    restarted = cluster.read("panes", lambda found: len(found) >= total)

    assert [alert.value for alert in found] == [alert.value for alert in expected]
    assert [pane.value for pane in restarted] == [pane.value for pane in panes]
    assert states(expected)[0] == "firing"
    assert last.metric("driftwatch_samples_total") > 0, "the kills happened before the end of the stream"


def test_a_restart_never_reports_a_drifting_stream_as_fine(
    cluster: Cluster, bundle: Path, start_daemon: StartDaemon
) -> None:
    cluster.create()
    cluster.send(messages(waves(500, seed=11), shuffled_rows(waves(600, seed=12))))
    alone = config(cluster, bundle)
    daemon = start_daemon(alone)
    (alert, *_) = cluster.read("alerts", lambda found: len(found) >= 1)
    panes = cluster.read("panes", lambda found: len(found) >= 110)
    daemon.wait_for("all panes", lambda: daemon.metric("driftwatch_drift") == 1)
    daemon.kill()
    assert len(panes) == 110

    restarted = start_daemon(alone)
    reported: list[str] = []

    def ready() -> bool:
        reported.extend(
            line for line in restarted.get("/metrics").text.splitlines() if line.startswith("driftwatch_drift{")
        )
        return restarted.get("/readyz").status_code == 200

    restarted.wait_for("readiness", ready)
    reported.extend(
        line for line in restarted.get("/metrics").text.splitlines() if line.startswith("driftwatch_drift{")
    )
    assert set(reported) == {f'driftwatch_drift{{stream="{STREAM}"}} 1.0'}
    status, written_alert = restarted.get("/api/status").json(), orjson.loads(alert.value)
    (stream,) = status["streams"]
    assert (stream["firing"], stream["severity"]) == (True, written_alert["data"]["severity"])
    assert written_alert["id"] in [each["id"] for each in status["alerts"]]


def test_a_restart_waits_for_a_state_whose_transaction_is_open(
    cluster: Cluster, bundle: Path, start_daemon: StartDaemon
) -> None:
    cluster.create()
    cluster.send(messages(waves(300, seed=11), shuffled_rows(waves(300, seed=12))))
    alone = config(cluster, bundle)
    daemon = start_daemon(alone)
    cluster.read("windows", lambda found: len(found) >= 59 + 51)
    daemon.stop()
    left = cluster.read_all(cluster.named("state"))[-1]
    assert orjson.loads(left.value)["firing"]

    with closing(KafkaProducer(bootstrap_servers=cluster.bootstrap, transactional_id=cluster.prefix)) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        quiet = orjson.dumps({**orjson.loads(left.value), "firing": False})
        producer.send(cluster.named("state"), key=left.key, value=quiet, partition=left.partition)
        producer.flush()
        restarted = start_daemon(alone)
        restarted.wait_for("partitions", lambda: any(line.get("role") == "score" for line in restarted.lines()))
        pause, deadline = threading.Event(), time.monotonic() + 3
        while time.monotonic() < deadline:
            assert restarted.get("/readyz").status_code == 503
            pause.wait(0.1)
        producer.commit_transaction()
    restarted.wait_for("readiness", lambda: restarted.get("/readyz").status_code == 200)
    assert restarted.metric("driftwatch_drift{") == 0


def test_stops_within_five_seconds_and_leaves_its_group(
    cluster: Cluster, bundle: Path, start_daemon: StartDaemon
) -> None:
    cluster.create()
    cluster.send(drifting_stream())
    busy = config(cluster, bundle)
    del busy["source"]["instance"]
    busy["source"]["session_timeout_s"] = SESSION_S
    daemon = start_daemon(busy)
    daemon.wait_for("samples", lambda: daemon.metric("driftwatch_samples_total") > 0)
    assert daemon.stop() < 5.0
    successor = start_daemon(busy)
    # The session of a member that had not left would keep its partitions until it ends.
    successor.wait_for(
        "partitions", lambda: len([x for x in successor.lines() if x["event"] == "partitions assigned"]) >= 2
    )
    times = [line["timestamp"] for line in successor.lines() if line["event"] in ("connected", "partitions assigned")]
    assert np.datetime64(times[-1][:-1]) - np.datetime64(times[0][:-1]) < np.timedelta64(SESSION_S // 2, "s")
    assert is_over(cluster.read("alerts", is_over))


@pytest.mark.parametrize("partitions", [3])
def test_partitions_and_streams_are_independent(
    cluster: Cluster, bundle: Path, start_daemon: StartDaemon, partitions: int
) -> None:
    cluster.create(partitions)
    drifting = {"driftwatch-stream": b"drifting"}
    undisturbed_daemon = {"driftwatch-stream": b"calm"}
    for partition in range(partitions):
        cluster.send(
            [(value, {**headers, **undisturbed_daemon}) for value, headers in messages(waves(500, 20 + partition))],
            partition,
        )
        cluster.send(
            [
                (value, {**headers, **drifting})
                for value, headers in messages(shuffled_rows(waves(300, 30 + partition)))
            ],
            partition,
        )
    both = config(cluster, bundle)
    both["streams"] = [{"name": name, "reference": str(bundle)} for name in ("calm", "drifting")]
    daemon = start_daemon(both)
    (alert, *_) = cluster.read("alerts", lambda found: len(found) >= 1)
    assert orjson.loads(alert.value)["data"]["stream"] == "drifting"
    daemon.wait_for(
        "all samples",
        lambda: daemon.metric('driftwatch_samples_total{stream="calm"}') >= 10 * (partitions * 500 // 10 - 3),
    )
    assert daemon.metric('driftwatch_alerts_total{severity="warning",state="firing",stream="calm"}') == 0
    assert daemon.metric('driftwatch_drift{stream="drifting"}') == 1
