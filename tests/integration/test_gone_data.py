"""What is gone before it is read is told once, in the log, and no window reaches over it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import orjson
from kafka import KafkaAdminClient, TopicPartition

from driftwatch.reference.reference import Reference
from driftwatch.stream.events import MessagesGone, SamplesScored
from tests.cluster import Cluster
from tests.integration.test_recovery import config, messages
from tests.synthetic import waves
from tests.threads import Threads, daemon_of, running


def remove(cluster: Cluster, topic: str, before: int) -> None:
    """Removes the messages before an offset, as retention does."""
    with closing(KafkaAdminClient(bootstrap_servers=cluster.bootstrap)) as admin:
        admin.delete_records({TopicPartition(topic, 0): before})


def scored(daemon: Threads) -> int:
    return sum(event.samples for event in daemon.told(SamplesScored))


def letters(cluster: Cluster) -> list[dict[str, str]]:
    found = cluster.read_all(cluster.named("dead_letters"))
    return [{name: value.decode() for name, value in letter.headers} for letter in found]


def offsets(cluster: Cluster, size: int) -> list[tuple[int, int]]:
    """First and last offset of the input in each window of a size, in their order."""
    results = [orjson.loads(message.value) for message in cluster.read_all(cluster.named("windows"))]
    return [
        (result["window"]["offsets"][0]["first"], result["window"]["offsets"][0]["last"])
        for result in results
        if result["window"]["size"] == size
    ]


def test_retention_that_passed_while_down(cluster: Cluster, bundle: Path, reference: Reference) -> None:
    cluster.create()
    made = daemon_of(config(cluster, bundle), reference)
    sent = messages(waves(1_050, seed=11))
    cluster.send(sent[:50])
    with running(made) as daemon:
        daemon.wait_for("samples", lambda: scored(daemon) >= 350)
        daemon.wait_for("windows", lambda: len(offsets(cluster, 20)) >= 34)
    cluster.send(sent[50:])
    remove(cluster, cluster.topic, 80)
    with running(made) as daemon:
        (gone,) = daemon.wait_for("word of it", lambda: daemon.told(MessagesGone, topic=cluster.topic))
        daemon.wait_for("the rest", lambda: scored(daemon) >= 490)
        daemon.wait_for("windows", lambda: offsets(cluster, 20)[-1][1] == 149)
        assert daemon.metric(f'driftwatch_messages_lost_total{{partition="0",topic="{cluster.topic}"}}') == 30
    assert (gone.first, gone.count, gone.why) == (50, 30, "retention")
    (letter,) = letters(cluster)
    assert letter["driftwatch-reason"] == "gone"
    assert (letter["driftwatch-offset"], letter["driftwatch-count"]) == ("50", "30")
    for size in (20, 100):
        spans = offsets(cluster, size)
        assert any(last >= 80 for _, last in spans)
        assert not [span for span in spans if span[0] < 50 and span[1] >= 80]

    with running(made, "score") as daemon:
        cluster.send(sent[:30])
        daemon.wait_for("samples", lambda: scored(daemon) >= 210)
        assert not daemon.told(MessagesGone)
    panes = cluster.read_all(cluster.named("panes"))
    remove(cluster, cluster.named("panes"), panes[-5].offset)
    with running(made, "test") as daemon:
        (gone,) = daemon.wait_for("word of it", lambda: daemon.told(MessagesGone))
        assert (gone.topic, gone.first + gone.count) == (cluster.named("panes"), panes[-5].offset)
        daemon.wait_for("windows", lambda: offsets(cluster, 20)[-1][1] == 179)
    assert [letter["driftwatch-topic"] for letter in letters(cluster)] == [cluster.topic, cluster.named("panes")]
