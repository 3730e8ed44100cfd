"""A chaos run: streams that never pause, a seeded series of faults, and what was committed compared with the oracle."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from driftwatch.config import DaemonConfig
from driftwatch.reference.loading import load_reference
from driftwatch.stream.pane_codec import decode_pane
from tests.broker import KafkaBroker
from tests.broker.nodes import bootstrap_of
from tests.chaos.comparison import Comparison, Sequences
from tests.chaos.faults import SESSION_S
from tests.chaos.feed import STREAMS, Feed
from tests.chaos.fleet import NAMES, PRESENT, Fleet
from tests.chaos.oracle import Oracle
from tests.chaos.progress import Progress, wait_until_read
from tests.chaos.proxy import Proxy, serving
from tests.chaos.references import Place
from tests.chaos.runs import runs_of
from tests.chaos.snare import Snare
from tests.chaos.strikes import RECOVERY_S, Struck, strike
from tests.chaos.testbed import Testbed
from tests.chaos.verdict import judge
from tests.cluster import Cluster

PARTITIONS = 4
WINDOWS, STEP = (20, 100, "10s"), 10
REFERENCE_WATCH_S = 5
"""Replicas that were not notified of another reference check for one at this interval."""

KEEP_ANY_TIMESTAMP = {"retention.ms": "-1", "message.timestamp.after.max.ms": str((1 << 63) - 1)}
"""Settings of the input topic: messages with any timestamp are accepted, and kept."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Args:
        seed: of the faults.
        seconds: its duration, without the oracle.
        struck: the faults.
        comparisons: of each topic with the oracle.
        fenced: commits that were refused because their replica had been replaced, by the name of the error.
        reference_changes: how often the reference changes within a stream's panes of a partition.
    """

    seed: int
    seconds: float
    struck: Sequence[Struck]
    comparisons: Sequence[Comparison]
    fenced: Mapping[str, int]
    reference_changes: int

    @property
    def exact(self) -> bool:
        """Whether all faults were survived, and every topic holds what it should."""
        return all(each.recovery_s is not None for each in self.struck) and all(each.exact for each in self.comparisons)


def settings(cluster: Cluster, reference: Path, nodes: Sequence[KafkaBroker]) -> dict[str, Any]:
    """A daemon's configuration: many small transactions, so that many faults hit one."""
    source = cluster.source(max_poll_records=10, session_timeout_s=SESSION_S)
    return {
        "source": {**source, "bootstrap_servers": [f"127.0.0.1:{node.proxy}" for node in nodes]},
        "streams": [{"name": name, "reference": str(reference)} for name in STREAMS],
        "references": {"watch_s": REFERENCE_WATCH_S},
        "windows": {"sizes": [*WINDOWS], "step": STEP, "out_of_order": "2s"},
    }


def run_chaos(
    nodes: Sequence[KafkaBroker],
    bundles: Sequence[Path],
    folder: Path,
    *,
    faults: Sequence[str | None],
    seed: int,
    limit_s: float = math.inf,
    versions: Sequence[Path] = (PRESENT,),
    on_fault: Callable[[Struck], None] = lambda struck: None,
) -> Outcome:
    """Run daemons through faults, and compare what is committed at the end with the oracle.

    Args:
        nodes: of one Apache Kafka cluster.
        bundles: that take turns as the reference of all streams.
        folder: for the daemons' configurations and logs.
        faults: their kinds in turn, None for one to be drawn.
        seed: of faults and samples; when a fault strikes within a transaction depends on the machine all the same.
        limit_s: no fault is started after that time.
        versions: folders with driftwatch's code, by which replicas are replaced in turn.
        on_fault: called after each fault.

    Raises:
        RuntimeError: a daemon exited by itself.
    """
    cluster = Cluster(bootstrap_of(nodes), f"chaos-{seed}")
    cluster.create(PARTITIONS, **KEEP_ANY_TIMESTAMP)
    place = Place(folder, bundles)
    config = settings(cluster, place.path, nodes)
    draw, began = random.Random(seed), time.monotonic()
    with ExitStack() as running:
        snare = Snare()
        proxies = [running.enter_context(serving(Proxy(node.proxy, node.proxied, snare))) for node in nodes]
        fleet = running.enter_context(closing(Fleet(config, folder, versions)))
        first = fleet.start(NAMES[0])
        first.wait_for("topics", lambda: any(line["event"] == "partitions assigned" for line in first.lines()))
        fleet.start(NAMES[1])
        feed, progress = Feed(cluster.bootstrap, cluster.topic, PARTITIONS, seed), Progress(cluster)
        feed.start()
        progress.start()
        struck = strike(
            Testbed(fleet, nodes, proxies, snare, place, draw),
            faults,
            feed,
            progress,
            limit_s=limit_s,
            on_fault=on_fault,
        )
        feed.end()
        wait_until_read(cluster, feed.ends(), RECOVERY_S, fleet.check)
        oracle = Oracle(DaemonConfig.model_validate(config), [load_reference(bundle) for bundle in bundles])
        runs = runs_of((decode_pane(each.value) for each in cluster.read_all(cluster.named("panes"))), STEP)
        panes, dead = oracle.scored(cluster.read_all(cluster.topic), runs)
        progress.watch(_last_panes(panes)).wait(RECOVERY_S, fleet.check)
        progress.end()
        fleet.stop_all()
    return Outcome(
        seed,
        time.monotonic() - began,
        struck,
        judge(cluster, oracle, panes, dead),
        fleet.fenced(),
        sum(one.reference != other.reference for each in runs.values() for one, other in pairwise(each)),
    )


def _last_panes(panes: Sequences) -> dict[tuple[str, int], int]:
    """Offsets of the last samples that windows by count can cover."""
    whole = [pane for values in panes.values() for pane in map(decode_pane, values) if not pane.unfinished]
    return {(pane.stream, pane.partition): pane.last[0] for pane in whole}
