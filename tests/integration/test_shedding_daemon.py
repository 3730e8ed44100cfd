"""A scorer that is too slow for its stream scores a fraction of it, reports that, and scores all of it again later."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from kafka import KafkaProducer

from driftwatch.data.codecs import encode
from driftwatch.reference.reference import Reference
from driftwatch.stream import reading
from driftwatch.stream.events import BatchSeen
from driftwatch.stream.kafka_batches import record_of
from driftwatch.stream.pane_codec import decode_pane
from tests.cluster import Cluster
from tests.integration.test_recovery import STREAM, config
from tests.shares import check_shares
from tests.synthetic import SCHEMA, waves
from tests.threads import daemon_of, running

SLOW_S = 0.03
EVERY_S = 0.005


def test_a_slow_scorer_sheds_and_recovers(
    cluster: Cluster, bundle: Path, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.create()
    settings = config(cluster, bundle)
    settings["source"] |= {"shedding": {"max_lag": "1s"}, "max_poll_records": 10}
    value, headers = encode(waves(10, seed=3), SCHEMA, "npy")
    tagged = [*headers.items(), ("driftwatch-stream", STREAM.encode())]
    pause, slow, done = threading.Event(), threading.Event(), threading.Event()
    slow.set()
    decode = reading.decode

    def slow_decode(*args: object, **kwargs: object) -> object:
        if slow.is_set():
            pause.wait(SLOW_S)
        return decode(*args, **kwargs)  # type: ignore[arg-type]

    def feed() -> None:
        with closing(KafkaProducer(bootstrap_servers=cluster.bootstrap)) as producer:
            while not done.is_set():
                producer.send(cluster.topic, value, headers=tagged, partition=0, timestamp_ms=int(1000 * time.time()))
                pause.wait(EVERY_S if slow.is_set() else 20 * EVERY_S)

    monkeypatch.setattr(reading, "decode", slow_decode)
    with running(daemon_of(settings, reference)) as daemon:
        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            daemon.wait_for("a smaller fraction", lambda: 0 < daemon.metric("driftwatch_sample_fraction{") <= 0.25)
            (stream,) = daemon.monitor.status.to_json()["streams"]
            assert "a fraction of" in stream["remarks"][0]
            slow.clear()
            daemon.wait_for("all again", lambda: daemon.metric("driftwatch_sample_fraction{") == 1)
            assert daemon.seen(BatchSeen, outcome="shed")
        finally:
            done.set()
            feeder.join()
    panes = [
        decode_pane(message.value) for message in cluster.read_all(cluster.named("panes")) if b"\n" in message.value
    ]
    log = [record_of(message) for message in cluster.read_all(cluster.topic)]
    check_shares(panes, log, lambda _: 10, 10)
    assert len({pane.share.part for pane in panes}) >= 3
    windows = [orjson.loads(message.value)["window"] for message in cluster.read_all(cluster.named("windows"))]
    assert {window.get("share", 1.0) for window in windows} <= {pane.share.part for pane in panes}
    assert min(window.get("share", 1.0) for window in windows) <= 0.25
