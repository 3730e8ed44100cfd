"""A real broker, and daemons as users run them: as processes."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from tests.broker import KafkaBroker, start_broker
from tests.broker.fallback import PACKAGE, WARNING, start_fallback
from tests.broker.jars import missing_tools

TOPICS = ("panes", "windows", "state", "alerts", "dead_letters")
WAIT_S = 90.0

_numbers = itertools.count()


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    """A broker's address: a running one's from `DRIFTWATCH_TEST_BOOTSTRAP`, else one started for the tests."""
    given = os.environ.get("DRIFTWATCH_TEST_BOOTSTRAP")
    if given:
        yield given
        return
    missing = missing_tools()
    if missing:
        assert not os.environ.get("CI"), f"Apache Kafka cannot run here: {missing}; in CI nothing else will do"
        warnings.warn(WARNING.format(missing=missing, package=PACKAGE), stacklevel=1)
        with start_fallback() as address:
            yield address
        return
    with start_broker() as broker:
        yield broker.bootstrap


@pytest.fixture
def own_broker() -> Iterator[KafkaBroker]:
    """A broker that the test may stop and kill; only Apache Kafka will do."""
    missing = missing_tools()
    if missing:
        assert not os.environ.get("CI"), f"Apache Kafka cannot run here: {missing}"
        pytest.skip(f"Apache Kafka cannot run here: {missing}")
    with start_broker() as broker:
        yield broker


@dataclass
class Cluster:
    """One set of topics on a broker, all of its own."""

    bootstrap: str
    prefix: str

    @property
    def topic(self) -> str:
        return f"{self.prefix}.input"

    def named(self, role: str) -> str:
        return f"{self.prefix}.{role}"

    def source(self, **more: Any) -> dict[str, Any]:
        return {
            "kind": "kafka",
            "bootstrap_servers": [self.bootstrap],
            "topic": self.topic,
            "group": self.prefix,
            "instance": "one",
            "topics": {role: self.named(role) for role in TOPICS},
            **more,
        }

    def create(self, partitions: int = 1) -> None:
        with contextlib.closing(KafkaAdminClient(bootstrap_servers=self.bootstrap)) as admin:
            admin.create_topics({self.topic: {"num_partitions": partitions}}, wait_for_metadata=True)

    def send(self, messages: list[tuple[bytes, Mapping[str, bytes]]], partition: int = 0) -> None:
        # Of today: by its retention Kafka deletes old messages at any time.
        now_ms = int(time.time() * 1000)
        with contextlib.closing(KafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=5)) as producer:
            sent = [
                producer.send(
                    self.topic, value=value, headers=list(headers.items()), partition=partition, timestamp_ms=now_ms + i
                )
                for i, (value, headers) in enumerate(messages)
            ]
            producer.flush()
            for each in sent:
                each.get(timeout=WAIT_S)

    def read(self, role: str, enough: Callable[[list[ConsumerRecord]], bool]) -> list[ConsumerRecord]:
        """The committed messages of a topic of driftwatch's, as soon as there are enough."""
        with contextlib.closing(
            KafkaConsumer(bootstrap_servers=self.bootstrap, isolation_level="read_committed", group_id=None)
        ) as consumer:
            found: list[ConsumerRecord] = []
            deadline = time.monotonic() + WAIT_S
            while not (partitions := consumer.partitions_for_topic(self.named(role))):
                assert time.monotonic() < deadline, f"there is no topic {self.named(role)}"
                consumer.poll(timeout_ms=200)
            places = [TopicPartition(self.named(role), number) for number in partitions]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            while not enough(found):
                assert time.monotonic() < deadline, f"only {len(found)} messages in {self.named(role)}"
                for messages in consumer.poll(timeout_ms=200).values():
                    found += messages
            return found


@pytest.fixture
def cluster(bootstrap: str) -> Cluster:
    """Topics of this test's own."""
    return Cluster(bootstrap, f"t{os.getpid()}-{next(_numbers)}")


@dataclass
class RunningDaemon:
    """A daemon in a process of its own."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [orjson.loads(line) for line in self.log.read_bytes().splitlines() if line.startswith(b"{")]

    def wait_for(self, what: str, done: Callable[[], bool]) -> None:
        """Waits until something is so; fails at once if the daemon ends before."""
        pause, deadline = threading.Event(), time.monotonic() + WAIT_S
        while not done():
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"no {what} in {WAIT_S:.0f} s:\n{self.log.read_text()[-4000:]}"
            pause.wait(0.05)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=10)

    def metric(self, name: str) -> float:
        """The sum over all series of a metric whose name and labels begin so."""
        lines = [line for line in self.get("/metrics").text.splitlines() if line.startswith(name)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WAIT_S)

    def stop(self) -> float:
        """Asks it to stop; how many seconds that took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(WAIT_S) == 0, self.log.read_text()
        return time.monotonic() - started


StartDaemon = Callable[..., RunningDaemon]


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[StartDaemon]:
    """Starts daemons from a configuration; whichever still runs at the end is killed."""
    running: list[RunningDaemon] = []

    def start(config: Mapping[str, Any], *, serving: bool = True) -> RunningDaemon:
        number = len(running)
        path = tmp_path / f"daemon-{number}.yaml"
        path.write_text(yaml.safe_dump({"server": {"port": 0}, "log": {"format": "json"}, **config}))
        log = tmp_path / f"daemon-{number}.log"
        with log.open("wb") as file:
            process = subprocess.Popen([sys.executable, "-m", "driftwatch", "run", str(path)], stdout=file, stderr=file)
        daemon = RunningDaemon(process, log)
        running.append(daemon)
        if serving:
            daemon.wait_for("address", lambda: any("url" in line for line in daemon.lines()))
            daemon.url = next(line["url"] for line in daemon.lines() if "url" in line)
        return daemon

    yield start
    for daemon in running:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()
