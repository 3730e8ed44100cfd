"""A change of the bundle while samples arrive: none is lost, and no window mixes two references."""

from __future__ import annotations

import functools
import signal
from collections import defaultdict
from pathlib import Path

import numpy as np
from kafka.consumer.fetcher import ConsumerRecord

from driftwatch.config import DaemonConfig
from driftwatch.data.codecs import decode
from driftwatch.errors import MessageError
from driftwatch.reference.loading import load_reference
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.kafka_batches import record_of
from driftwatch.stream.pane_codec import decode_pane
from driftwatch.stream.panes import Pane
from tests.chaos.comparison import Sequences, compare
from tests.chaos.feed import STREAMS, Feed
from tests.chaos.oracle import Oracle
from tests.chaos.references import swing
from tests.chaos.run import KEEP_ANY_TIMESTAMP
from tests.integration.conftest import Cluster, RunningDaemon, StartDaemon
from tests.synthetic import SCHEMA

PARTITIONS = 2
STEP = 10


def by_stream(messages: list[ConsumerRecord]) -> Sequences:
    found = Sequences()
    for message in messages:
        found.add(message.key.decode(), message.value)
    return found


def samples_of(messages: list[ConsumerRecord]) -> dict[tuple[str, int], list[tuple[tuple[int, int], np.ndarray]]]:
    """Every sample of an input log with its position, by stream and partition."""
    found = defaultdict(list)
    for record in map(record_of, messages):
        try:
            samples = decode(record.value, record.header, SCHEMA)
        except MessageError:
            continue
        stream = record.header["driftwatch-stream"].decode()
        found[stream, record.partition] += [((record.offset, row), sample) for row, sample in enumerate(samples)]
    return found


def count_assignments(daemon: RunningDaemon) -> int:
    return sum(line["event"] == "partitions assigned" for line in daemon.lines())


def require_each_once(panes: list[Pane], sent: list[tuple[tuple[int, int], np.ndarray]], scorers: list[Scorer]) -> None:
    """Assert that panes hold a partition's samples in order, each scored by the reference that the pane names."""
    at, held = 0, dict[str, list[tuple[Pane, np.ndarray]]]()
    for pane in panes:
        places, samples = zip(*sent[at : at + pane.n], strict=True)
        assert (places[0], places[-1]) == (pane.first, pane.last)
        held.setdefault(pane.reference, []).append((pane, np.stack(samples)))
        at += pane.n
    by_version = {scorer.reference.version: scorer for scorer in scorers}
    for version, parts in held.items():
        scored = by_version[version]([samples for _, samples in parts])
        for (pane, _), found in zip(parts, scored, strict=True):
            assert np.array_equal(found.summary, pane.summary)
    assert len(sent) - at < STEP


def test_a_switch_under_load_with_a_kill_during_it_loses_nothing(
    cluster: Cluster, bundle: Path, reference: Reference, other: Path, start_daemon: StartDaemon, tmp_path: Path
) -> None:
    link, second = tmp_path / "now", load_reference(other)
    link.symlink_to(bundle)
    # Some panes of the old reference may be untested when the daemon is killed; its successor finds that bundle here.
    (tmp_path / "old").symlink_to(bundle)
    config = {
        "source": cluster.source(max_poll_records=10),
        "streams": [{"name": name, "reference": str(link)} for name in STREAMS],
        "windows": {"sizes": [20, 100], "step": STEP},
    }
    cluster.create(PARTITIONS, **KEEP_ANY_TIMESTAMP)
    feed = Feed(cluster.bootstrap, cluster.topic, PARTITIONS, seed=3)
    daemon = start_daemon(config)
    feed.start()
    daemon.wait_for("samples", lambda: daemon.metric("driftwatch_samples_total") >= 300)
    assigned = count_assignments(daemon)
    swing(link, other)
    daemon.process.send_signal(signal.SIGHUP)
    reloaded = 'driftwatch_reloads_total{outcome="taken_up",what="reference"}'
    daemon.wait_for("the switch", lambda: daemon.metric(reloaded) == len(STREAMS))
    # Calibration took seconds, and the daemon kept its membership in both groups.
    assert count_assignments(daemon) == assigned
    assert not [line for line in daemon.lines() if line["event"] == "connection lost"]
    at_switch = daemon.metric("driftwatch_samples_total")
    daemon.wait_for("more", lambda: daemon.metric("driftwatch_samples_total") >= at_switch + 100)
    daemon.kill()
    successor = start_daemon(config)
    successor.wait_for("more", lambda: successor.metric("driftwatch_samples_total") >= 300)
    feed.end()
    sent = samples_of(cluster.read_all(cluster.topic))
    whole = sum(len(samples) // STEP * STEP for samples in sent.values()) - STEP * len(sent)

    def panes_of(messages: list[ConsumerRecord]) -> dict[tuple[str, int], list[Pane]]:
        found = defaultdict(list)
        for pane in (decode_pane(message.value) for message in messages):
            found[pane.stream, pane.partition].append(pane)
        return found

    # Asked again for all panes whenever there are more.
    held = functools.cache(lambda pane: decode_pane(pane).n)
    cluster.read("panes", lambda found: sum(held(each.value) for each in found) >= whole)
    successor.wait_for("the end", lambda: successor.metric("driftwatch_consumer_lag") == 0)
    successor.stop()

    written = cluster.read_all(cluster.named("panes"))
    scorers = [Scorer(reference), Scorer(second)]
    for place, panes in panes_of(written).items():
        require_each_once(panes, sent[place], scorers)
        assert {pane.reference for pane in panes} == {reference.version, second.version}
    windows, alerts = Oracle(DaemonConfig.model_validate(config), [reference]).tested(written)
    for role, expected in (("windows", windows), ("alerts", alerts)):
        assert compare(role, expected, by_stream(cluster.read_all(cluster.named(role)))).exact, role
    assert alerts["drifting"]
