"""Messages deleted before they are read are reported once, no window spans the gap, and a new topic is read whole."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import orjson
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from driftwatch.reference.reference import Reference
from driftwatch.stream import idle
from driftwatch.stream.events import MessagesGone, SamplesScored, StreamState
from tests.cluster import Cluster
from tests.integration.test_recovery import config, messages
from tests.synthetic import shuffled_rows, waves
from tests.threads import Threads, daemon_of, running


def admin_of(cluster: Cluster) -> closing[KafkaAdminClient]:
    return closing(KafkaAdminClient(bootstrap_servers=cluster.bootstrap))


def delete_before(cluster: Cluster, topic: str, before: int) -> None:
    """Delete the messages before an offset, as retention does."""
    with admin_of(cluster) as admin:
        admin.delete_records({TopicPartition(topic, 0): before})


def scored(daemon: Threads) -> int:
    return sum(event.samples for event in daemon.seen(SamplesScored))


def letters(cluster: Cluster) -> list[dict[str, str]]:
    found = cluster.read_all(cluster.named("dead_letters"))
    return [{name: value.decode() for name, value in letter.headers} for letter in found]


def offsets(cluster: Cluster, size: int) -> list[tuple[int, int]]:
    """First and last input offset of each window of a size, in order."""
    results = [orjson.loads(message.value) for message in cluster.read_all(cluster.named("windows"))]
    return [
        (result["window"]["offsets"][0]["first"], result["window"]["offsets"][0]["last"])
        for result in results
        if result["window"]["size"] == size
    ]


def test_messages_deleted_by_retention_while_the_daemon_is_down(
    cluster: Cluster, bundle: Path, reference: Reference
) -> None:
    cluster.create()
    prepared = daemon_of(config(cluster, bundle), reference)
    sent = messages(waves(1_050, seed=11))
    cluster.send(sent[:50])
    with running(prepared) as daemon:
        daemon.wait_for("samples", lambda: scored(daemon) >= 350)
        daemon.wait_for("windows", lambda: len(offsets(cluster, 20)) >= 34)
    cluster.send(sent[50:])
    delete_before(cluster, cluster.topic, 80)
    with running(prepared) as daemon:
        (gone,) = daemon.wait_for("report of the loss", lambda: daemon.seen(MessagesGone, topic=cluster.topic))
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

    with running(prepared, "score") as daemon:
        cluster.send(sent[:30])
        daemon.wait_for("samples", lambda: scored(daemon) >= 210)
        assert not daemon.seen(MessagesGone)
    panes = cluster.read_all(cluster.named("panes"))
    delete_before(cluster, cluster.named("panes"), panes[-5].offset)
    with running(prepared, "test") as daemon:
        (gone,) = daemon.wait_for("report of the loss", lambda: daemon.seen(MessagesGone))
        assert (gone.topic, gone.first + gone.count) == (cluster.named("panes"), panes[-5].offset)
        daemon.wait_for("windows", lambda: offsets(cluster, 20)[-1][1] == 179)
    assert [letter["driftwatch-topic"] for letter in letters(cluster)] == [cluster.topic, cluster.named("panes")]


def test_an_offset_committed_for_an_earlier_topic_skips_nothing(
    cluster: Cluster, bundle: Path, reference: Reference
) -> None:
    """A busy daemon commits what it held of a deleted topic; that is no position in the new one."""
    cluster.create()
    place = TopicPartition(cluster.topic, 0)
    unnamed = config(cluster, bundle) | {"source": cluster.source(instance=None)}
    prepared = daemon_of(unnamed, reference)
    sent = messages(waves(280, seed=11))
    cluster.send(sent)
    with running(prepared, "score") as daemon:
        daemon.wait_for("samples", lambda: scored(daemon) == 280)
    with closing(KafkaConsumer(bootstrap_servers=cluster.bootstrap, group_id=cluster.prefix)) as late:
        held = late.committed(place, metadata=True)
        with admin_of(cluster) as admin:
            admin.delete_topics([cluster.topic])
        cluster.create()
        late.assign([place])
        late.commit({place: held})
    cluster.send(sent)
    with running(daemon_of(unnamed, reference), "score") as daemon:
        daemon.wait_for("all samples of the new topic", lambda: scored(daemon) == 280)
        assert not daemon.seen(MessagesGone)


def test_ends_of_transactions_that_retention_removes_are_no_lost_messages(
    cluster: Cluster, bundle: Path, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that was idle for longer than the retention of panes was reported as lost by the next restart."""
    monkeypatch.setattr(idle, "IDLE_S", 1.0)
    cluster.create()
    with closing(KafkaProducer(bootstrap_servers=cluster.bootstrap, transactional_id=cluster.prefix)) as producer:
        producer.init_transactions()
        sent = messages(waves(70, seed=11))
        for each, end in ((sent, producer.commit_transaction), (sent[:3], producer.abort_transaction)):
            producer.begin_transaction()
            for value, headers in each:
                producer.send(cluster.topic, value, headers=list(headers.items()))
            producer.flush()
            end()
    prepared = daemon_of(config(cluster, bundle), reference)
    read = {cluster.prefix: cluster.topic, f"{cluster.prefix}.test": cluster.named("panes")}
    with closing(KafkaConsumer(bootstrap_servers=cluster.bootstrap)) as looking, admin_of(cluster) as admin:

        def idle_at_the_end() -> bool:
            places = {group: TopicPartition(topic, 0) for group, topic in read.items()}
            ends = looking.end_offsets(list(places.values()))
            held = {group: admin.list_group_offsets(group)[group] for group in places}
            return all(
                place in held[group] and held[group][place].offset == ends[place] > 1 for group, place in places.items()
            )

        with running(prepared) as daemon:
            daemon.wait_for("samples", lambda: scored(daemon) == 70)
            daemon.wait_for("positions behind the last transactions", idle_at_the_end)
        for topic in read.values():
            delete_before(cluster, topic, looking.end_offsets([TopicPartition(topic, 0)])[TopicPartition(topic, 0)])
    with running(prepared) as daemon:
        cluster.send(messages(waves(70, seed=12)))
        daemon.wait_for("samples", lambda: scored(daemon) == 70)
        daemon.wait_for("windows", lambda: offsets(cluster, 20)[-1][1] >= 22)
        assert not daemon.seen(MessagesGone)


def test_a_group_that_starts_at_the_end_continues_there_after_a_restart(
    cluster: Cluster, bundle: Path, reference: Reference
) -> None:
    """Messages that came to an empty topic while its first daemon restarted were skipped."""
    cluster.create()
    latest = config(cluster, bundle) | {"source": cluster.source(start="latest")}
    prepared = daemon_of(latest, reference)
    with running(prepared, "score") as daemon, admin_of(cluster) as admin:
        place = TopicPartition(cluster.topic, 0)
        daemon.wait_for("the start", lambda: place in admin.list_group_offsets(cluster.prefix)[cluster.prefix])
    cluster.send(messages(waves(70, seed=11)))
    with running(prepared, "score") as daemon:
        daemon.wait_for("samples", lambda: scored(daemon) == 70)


def test_an_alarm_outlives_the_panes_topic(cluster: Cluster, bundle: Path, reference: Reference) -> None:
    """With the topic, the broker deletes the group's offsets; the alarm was forgotten, and its alert never resolved."""
    cluster.create()
    unnamed = config(cluster, bundle) | {"source": cluster.source(instance=None)}
    prepared = daemon_of(unnamed, reference)
    cluster.send(messages(waves(140, seed=11), shuffled_rows(waves(210, seed=12))))
    with running(prepared) as daemon:
        daemon.wait_for("an alarm", lambda: daemon.seen(StreamState, firing=True))
    with admin_of(cluster) as admin:
        admin.delete_topics([cluster.named("panes")])
    with running(prepared) as daemon:
        daemon.wait_for("the alarm", lambda: daemon.seen(StreamState, firing=True))
        cluster.send(messages(waves(1_400, seed=13)))
        daemon.wait_for("its end", lambda: daemon.seen(StreamState, firing=False))
        assert not daemon.seen(StreamState, firing=False)[0].severity
    alerts = [orjson.loads(message.value)["data"]["state"] for message in cluster.read_all(cluster.named("alerts"))]
    assert (alerts[0], alerts[-1]) == ("firing", "resolved")
