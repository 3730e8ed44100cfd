"""How long brokers gather messages for a transaction: the delay that this costs, and the work that it saves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from numpy.typing import NDArray

from benchmarks.processor import processor_s
from driftwatch.data.codecs import encode
from driftwatch.stream.pane_codec import decode_pane
from tests.cluster import Cluster
from tests.daemons import RunningDaemon, launch
from tests.synthetic import SCHEMA, waves

RATE, SECONDS, WARM_UP_S = 200, 12.0, 4.0
STEP, WINDOW = 10, 50


@dataclass(frozen=True)
class Waited:
    """The cost of a stream of single samples.

    Args:
        panes_s: from a pane's last sample to the committed pane.
        windows_s: from a pane's last sample to the committed results of its windows.
        daemon: cores that the daemon uses.
        transactions: transactions of the score role per second.
    """

    panes_s: NDArray[np.float64]
    windows_s: NDArray[np.float64]
    daemon: float
    transactions: float


def wait_for(bootstrap: str, folder: Path, bundle: Path, wait_ms: int) -> Waited:
    """Run a daemon on `RATE` messages per second of one sample each."""
    cluster = Cluster(bootstrap, f"wait-{wait_ms}")
    cluster.create()
    config = {
        "source": cluster.source(fetch_max_wait_ms=wait_ms),
        "streams": [{"name": "waves", "reference": str(bundle)}],
        "windows": {"sizes": [WINDOW], "step": STEP},
    }
    daemon = launch(config, folder, f"wait-{wait_ms}", environment={"OMP_NUM_THREADS": "1"})
    try:
        daemon.wait_for("address", lambda: any(line["event"] == "serving" for line in daemon.lines()))
        daemon.url = next(line["url"] for line in daemon.lines() if line["event"] == "serving")
        daemon.wait_for("readiness", lambda: daemon.get("/readyz").status_code == 200)
        with _fed(cluster) as offsets:
            return _watch(cluster, daemon, offsets)
    finally:
        daemon.kill()


@contextmanager
def _fed(cluster: Cluster) -> Iterator[list[float]]:
    """Feed the stream until the block ends; yields when each message was sent, seconds since the epoch, by offset."""
    bodies = [encode(each[None], SCHEMA, "npy") for each in waves(1_000)]
    sent: list[float] = []
    stop = threading.Event()

    def feed() -> None:
        with closing(KafkaProducer(bootstrap_servers=cluster.bootstrap)) as producer:
            begun = time.monotonic()
            while not stop.is_set():
                body, headers = bodies[len(sent) % len(bodies)]
                named = [*headers.items(), ("driftwatch-stream", b"waves")]
                sent.append(time.time())
                producer.send(cluster.topic, value=body, headers=named, partition=0)
                stop.wait(max(0.0, begun + len(sent) / RATE - time.monotonic()))

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()


def _watch(cluster: Cluster, daemon: RunningDaemon, sent: list[float]) -> Waited:
    panes, windows = list[float](), list[float]()
    with closing(
        KafkaConsumer(bootstrap_servers=cluster.bootstrap, isolation_level="read_committed", group_id=None)
    ) as consumer:
        places = [TopicPartition(cluster.named(role), 0) for role in ("panes", "windows")]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        begun, measured, last = time.monotonic(), False, 0
        processor, commits = 0.0, 0.0
        while time.monotonic() - begun < WARM_UP_S + SECONDS:
            polled = consumer.poll(timeout_ms=20)
            now = time.time()
            if not measured and time.monotonic() - begun > WARM_UP_S:
                measured, processor, commits = True, processor_s(daemon.process.pid), _commits(daemon)
            for record in polled.get(places[0], ()):
                last = decode_pane(record.value).last[0]
                panes += [now - sent[last]] * measured
            windows += [now - sent[last] for _ in polled.get(places[1], ())] * measured
    spent, made = processor_s(daemon.process.pid) - processor, _commits(daemon) - commits
    return Waited(np.array(panes), np.array(windows), spent / SECONDS, made / SECONDS)


def _commits(daemon: RunningDaemon) -> float:
    return daemon.metric('driftwatch_stage_seconds_count{stage="commit"}')
