"""A burst at a hundred times the usual rate, with a slow alert sink: how a daemon's memory and lag develop.

    python -m benchmarks.burst [--seconds 30] [--picture burst.png]

A stream of 8x8 images in messages of 64 arrives at an easy rate, then for a while at a hundred times that rate (more
than one thread can score), then at the easy rate again until the backlog is scored. It drifts repeatedly, and the
webhook takes four seconds per alert. Reported are the process's private memory, the lag, rebalances, and the number of
alerts delivered.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from kafka import KafkaProducer
from matplotlib.figure import Figure

from benchmarks.pictures.style import BLUE, ORANGE, plain, save, title
from benchmarks.soak import own_mib
from tests.broker import start_nodes
from tests.cluster import Cluster
from tests.daemons import RunningDaemon, launch
from tests.receiver import Answer, Receiver, serving
from tests.synthetic import shuffled_rows, small_bundle, waves

RATE, TIMES = 100, 100
BATCH, PARTITIONS = 64, 4
DRIFT_EVERY, DRIFT = 600, 100
"""In messages: the distance between drifts, and the length of each."""

BEFORE_S, AFTER_S, LIMIT_S = 10.0, 10.0, 900.0
READ_S, REPORT_S = 0.5, 5.0
SINK_S = 4.0


@dataclass(frozen=True)
class Reading:
    """Measurements at one time.

    Args:
        second: seconds since the first reading.
        lag: messages waiting.
        samples: samples scored so far.
        own_mib: private memory of the process, MiB.
    """

    second: float
    lag: float
    samples: float
    own_mib: float


class SlowReceiver(Receiver):
    """Delays each request."""

    def finish_request(self, *request: object) -> None:
        """Handle one request, in a thread of its own."""
        time.sleep(SINK_S)
        super().finish_request(*request)  # type: ignore[arg-type]


class Feed:
    """Sends messages at a rate that can be changed."""

    def __init__(self, cluster: Cluster) -> None:
        self.rate, self.sent = float(RATE), 0
        self._cluster, self._stop = cluster, threading.Event()
        pool = waves(64 * BATCH)
        self._plain, self._moved = _bodies(pool), _bodies(shuffled_rows(pool))

    @contextmanager
    def running(self) -> Iterator[Feed]:
        """Send messages until the block ends."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        with closing(KafkaProducer(bootstrap_servers=self._cluster.bootstrap, linger_ms=5)) as producer:
            while not self._stop.is_set():
                bodies = self._moved if self.sent % DRIFT_EVERY >= DRIFT_EVERY - DRIFT else self._plain
                producer.send(
                    self._cluster.topic,
                    value=bodies[self.sent % len(bodies)],
                    headers=[("driftwatch-stream", b"waves")],
                    partition=self.sent // (2 * DRIFT) % PARTITIONS,
                )
                self.sent += 1
                due = max(due + BATCH / self.rate, time.monotonic() - 1)
                self._stop.wait(max(0.0, due - time.monotonic()))


def main() -> None:
    """Print Markdown, and draw the plot if one is requested."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        start_nodes(1) as (kafka,),
        serving(SlowReceiver([Answer()])) as sink,
    ):
        folder, cluster = Path(name), Cluster(kafka.bootstrap, "burst")
        cluster.create(PARTITIONS)
        config = {
            "source": cluster.source(),
            "streams": [{"name": "waves", "reference": str(small_bundle(folder))}],
            "sinks": [{"kind": "webhook", "url": sink.url}],
        }
        daemon = launch(config, folder, "daemon", environment={"OMP_NUM_THREADS": "1"})
        try:
            daemon.wait_for("address", lambda: any(line["event"] == "serving" for line in daemon.lines()))
            daemon.url = next(line["url"] for line in daemon.lines() if line["event"] == "serving")
            daemon.wait_for("readiness", lambda: daemon.get("/readyz").status_code == 200)
            with Feed(cluster).running() as feed:
                readings, before = _watch(daemon, feed, options.seconds)
            _report(daemon, feed, readings, sink, [line["event"] for line in daemon.lines()[before:]])
        finally:
            daemon.kill()
    if options.picture:
        _draw(readings, options.seconds, options.picture)


def _bodies(images: np.ndarray) -> list[bytes]:
    found = []
    for start in range(0, len(images), BATCH):
        file = io.BytesIO()
        np.save(file, images[start : start + BATCH].astype("<f8"))
        found.append(file.getvalue())
    return found


def _watch(daemon: RunningDaemon, feed: Feed, seconds: float) -> tuple[list[Reading], int]:
    """Readings from before the burst until shortly after its backlog is scored, and the log's length when it began."""
    readings: list[Reading] = []
    before = 0
    begun, drained, reported = time.monotonic(), 0.0, -REPORT_S
    print("| second | messages waiting | samples scored | private memory, MiB |\n| ---: | ---: | ---: | ---: |")
    while not drained or time.monotonic() - begun < drained + AFTER_S:
        second = time.monotonic() - begun
        feed.rate = RATE * (TIMES if BEFORE_S < second < BEFORE_S + seconds else 1)
        if second < BEFORE_S:
            before = len(daemon.lines())
        lag, samples = daemon.metric("driftwatch_consumer_lag"), daemon.metric("driftwatch_samples_total")
        readings.append(Reading(second, lag, samples, own_mib(daemon)))
        # A few messages are always awaiting the broker's acknowledgement.
        if not drained and second > BEFORE_S + seconds and feed.sent * BATCH - samples < 2 * RATE:
            drained = second
        if second - reported >= REPORT_S:
            reported = second
            print(f"| {second:.0f} | {lag:,.0f} | {samples:,.0f} | {readings[-1].own_mib:.0f} |", flush=True)
        if second > LIMIT_S or daemon.process.poll() is not None:
            raise SystemExit(daemon.log.read_text()[-2_000:])
        time.sleep(READ_S)
    print(f"\nThe backlog was scored {drained - BEFORE_S - seconds:.0f} s after the burst.")
    return readings, before


def _report(daemon: RunningDaemon, feed: Feed, readings: list[Reading], sink: Receiver, events: list[str]) -> None:
    first, most = max(r.own_mib for r in readings if r.second < BEFORE_S), max(r.own_mib for r in readings)
    scored, alerts = daemon.metric("driftwatch_samples_total"), daemon.metric("driftwatch_alerts_total")
    assigned, lost = events.count("partitions assigned"), events.count("connection lost")
    print(f"{feed.sent * BATCH:,} samples sent, {scored:,.0f} scored.")
    print(f"Private memory peaked at {first:.0f} MiB before the burst, and at {most:.0f} MiB overall.")
    print(f"During and after the burst, partitions were reassigned {assigned} times and connections lost {lost} times.")
    print(f"{alerts:.0f} alerts were raised; {len(sink.received)} had reached the slow sink by the end.")


def _draw(readings: list[Reading], seconds: float, path: Path) -> None:
    figure = Figure(figsize=(7, 4), layout="constrained")
    upper, lower = (plain(each) for each in figure.subplots(2, sharex=True))
    x = [each.second for each in readings]
    title(upper, f"Private memory, MiB; the burst is shaded ({RATE:,} to {RATE * TIMES:,} samples/s)")
    upper.plot(x, [each.own_mib for each in readings], color=BLUE)
    upper.set_ylim(0, 1.2 * max(each.own_mib for each in readings))
    title(lower, f"Messages waiting, {BATCH} samples each")
    lower.plot(x, [each.lag for each in readings], color=ORANGE)
    lower.set_xlabel("seconds")
    for axes in (upper, lower):
        axes.axvspan(BEFORE_S, BEFORE_S + seconds, color="0.93")
    save(figure, path)


if __name__ == "__main__":
    main()
