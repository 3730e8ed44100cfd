"""The gain of further replicas: one hot stream over twelve partitions, scored by 1, 2 and 4 daemons on a real broker.

    python -m benchmarks.replicas [--samples 120000]

Each daemon scores with one thread. The daemons share the machine's cores with the broker: more daemons than cores show
that nothing is lost, not what a further core would gain. The committed output is compared with the oracle of
`tests.chaos`: panes by partition, windows and alerts by the order of the panes in their log.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from driftwatch.config import DaemonConfig
from driftwatch.data.codecs import encode
from tests.broker import start_nodes
from tests.chaos.comparison import Comparison
from tests.chaos.oracle import Oracle
from tests.chaos.verdict import judge
from tests.cluster import Cluster
from tests.daemons import RunningDaemon, launch
from tests.synthetic import SCHEMA, small_bundle, waves

REPLICAS = (1, 2, 4)
PARTITIONS = 12
STREAM, BATCH, STEP = "hot", 64, 10
POOL = 6_400
LIMIT_S = 600.0


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=120_000)
    messages = parser.parse_args().samples // BATCH // PARTITIONS * PARTITIONS
    with tempfile.TemporaryDirectory() as name, start_nodes(1) as (kafka,):
        bundle, first = small_bundle(Path(name)), 0.0
        print(f"{messages * BATCH:,} samples in {PARTITIONS} partitions, on {len(os.sched_getaffinity(0))} cores\n")
        print("| scoring daemons | samples/s | relative to one | panes | windows | differences from the oracle |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: |")
        for count in REPLICAS:
            folder = Path(name) / str(count)
            folder.mkdir()
            rate, compared = _run(kafka.bootstrap, folder, bundle, count, messages)
            first = first or rate
            held = {each.what: each.expected for each in compared}
            wrong = sum(each.lost + each.repeated + each.foreign + each.displaced for each in compared)
            cells = f"{rate:,.0f} | {rate / first:.2f} | {held['panes']:,} | {held['windows']:,} | {wrong}"
            print(f"| {count} | {cells} |", flush=True)


def _run(bootstrap: str, folder: Path, bundle: Path, count: int, messages: int) -> tuple[float, list[Comparison]]:
    """The samples per second from first message to last committed pane, and the comparison of all output."""
    cluster = Cluster(bootstrap, f"replicas-{count}")
    cluster.create(PARTITIONS)
    config: dict[str, Any] = {
        "source": {**cluster.source(), "instance": None},
        "streams": [{"name": STREAM, "reference": str(bundle)}],
        "windows": {"sizes": [20, 100], "step": STEP},
    }
    pool = waves(POOL, seed=3)
    bodies = [encode(pool[start : start + BATCH], SCHEMA, "npy") for start in range(0, POOL, BATCH)]
    panes = messages // PARTITIONS * BATCH // STEP * PARTITIONS
    with ExitStack() as running:
        daemons = [
            running.enter_context(_running({**config, "roles": ["score"]}, folder, f"score-{number}"))
            for number in range(count)
        ]
        _settle(daemons)
        began = time.monotonic()
        for partition in range(PARTITIONS):
            cluster.send(
                [
                    (value, {**headers, "driftwatch-stream": STREAM.encode()})
                    for value, headers in (bodies[i % len(bodies)] for i in range(messages // PARTITIONS))
                ],
                partition,
            )
        _wait_for(cluster, "panes", panes, daemons)
        rate = messages * BATCH / (time.monotonic() - began)
        tester = running.enter_context(_running({**config, "roles": ["test"]}, folder, "test"))
        _wait_for(cluster, "windows", 2 * panes - 20 // STEP - 100 // STEP + 2, [*daemons, tester])
    oracle = Oracle(DaemonConfig.model_validate(config))
    return rate, judge(cluster, oracle, *oracle.scored(cluster.read_all(cluster.topic)))


@contextmanager
def _running(config: dict[str, Any], folder: Path, name: str) -> Iterator[RunningDaemon]:
    daemon = launch(config, folder, name, environment={"OMP_NUM_THREADS": "1"})
    try:
        yield daemon
        daemon.stop()
    finally:
        daemon.kill()


def _settle(daemons: list[RunningDaemon]) -> None:
    """Wait until all partitions are assigned and each daemon has some."""

    def held(daemon: RunningDaemon) -> list[int]:
        assigned = [line["partitions"] for line in daemon.lines() if line["event"] == "partitions assigned"]
        return assigned[-1] if assigned else []

    for daemon in daemons:
        daemon.wait_for(
            "partitions", lambda: all(map(held, daemons)) and sum(len(held(each)) for each in daemons) == PARTITIONS
        )


def _wait_for(cluster: Cluster, role: str, count: int, daemons: list[RunningDaemon]) -> None:
    """Wait until a topic holds `count` committed messages, not counting transaction markers."""
    deadline = time.monotonic() + LIMIT_S
    with closing(
        KafkaConsumer(bootstrap_servers=cluster.bootstrap, isolation_level="read_committed", group_id=None)
    ) as consumer:
        places = [TopicPartition(cluster.named(role), number) for number in range(PARTITIONS)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        found = 0
        while found < count:
            found += sum(map(len, consumer.poll(timeout_ms=100).values()))
            if time.monotonic() > deadline or any(daemon.process.poll() is not None for daemon in daemons):
                raise SystemExit(f"only {found} of {count} {role}")


if __name__ == "__main__":
    main()
