"""An Apache Kafka node on free loopback ports, started and stopped by its pid."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.broker.jars import broker_jars, class_archive
from tests.patience import PATIENCE_S

STOP_S = 30.0
LOG_TAIL = 4_000

PROPERTIES = """\
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{outer}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
num.partitions=1
auto.create.topics.enable=false
default.replication.factor={copies}
min.insync.replicas={least}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={least}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={least}
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
log.segment.bytes=67108864
log.cleaner.enable=true
broker.rack=rack-{number}
replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector
"""

QUICK_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Java options for a node that lives for seconds and shares its cores with the code under test."""

HEAP_MB = 512

COPIES = 3
"""Replicas of every partition, if there are as many nodes; one replica may then be down."""


@dataclass(frozen=True)
class Ports:
    """The ports of a node.

    Args:
        plain: for clients and other nodes.
        controller: for the quorum of controllers.
        proxied: for clients whose connections go through `proxy`.
        proxy: advertised to these clients; a test's proxy listens here and forwards to `proxied`.
    """

    plain: int
    controller: int
    proxied: int
    proxy: int


class KafkaBroker:
    """A node, both broker and controller; its data folder survives `kill` and `start`.

    Args:
        nodes: the ports of each node of its cluster, by number.
        number: the number of this node.
        cluster: the cluster's id.
        heap_mb: the maximum size of Java's heap.
        more: properties that override the default ones, with the same placeholders in braces.
        java: options of the Java runtime.
    """

    def __init__(
        self,
        nodes: Mapping[int, Ports],
        number: int,
        cluster: str,
        *,
        heap_mb: int = HEAP_MB,
        more: str = "",
        java: Sequence[str] = QUICK_START,
    ) -> None:
        self.number, self._heap_mb, self._options = number, heap_mb, java
        own = nodes[number]
        self.port, self.proxied, self.proxy = own.plain, own.proxied, own.proxy
        self._folder = Path(tempfile.mkdtemp(prefix="driftwatch-kafka-"))
        self._log = self._folder / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None
        copies = min(COPIES, len(nodes))
        (self._folder / "server.properties").write_text(
            (PROPERTIES + more).format(
                number=number,
                voters=",".join(f"{each}@127.0.0.1:{ports.controller}" for each, ports in nodes.items()),
                controller=own.controller,
                port=own.plain,
                inner=own.proxied,
                outer=own.proxy,
                copies=copies,
                least=copies // 2 + 1,
                data=self._folder / "data",
            )
        )
        self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c").wait(PATIENCE_S)
        atexit.register(self.close)

    @property
    def bootstrap(self) -> str:
        """The address that clients connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The pid of its process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.launch()
        self.wait()

    def launch(self, *options: str) -> None:
        """Start it, with additional Java options, without waiting: the first of several nodes cannot answer alone."""
        self._process = self._java("kafka.Kafka", options=options)

    def wait(self) -> None:
        """Wait until it answers.

        Raises:
            RuntimeError: it has exited, or does not answer in time.
        """
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE_S
        pause = threading.Event()
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"the broker ended with {self._process.returncode}:\n{self._tail()}")
            with contextlib.suppress(KafkaError, OSError), contextlib.closing(self._admin()) as admin:
                admin.describe_cluster()
                return
            pause.wait(0.2)
        self.kill()
        raise RuntimeError(f"the broker did not answer in {PATIENCE_S:.0f} s:\n{self._tail()}")

    def stop(self) -> int | None:
        """Request a stop and wait for it; returns the exit code, or None if it was not running."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Kill it and remove its data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        atexit.unregister(self.close)

    def _admin(self) -> KafkaAdminClient:
        return KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=2_000)

    def _end(self, number: int) -> int | None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return None
        os.kill(process.pid, number)
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(STOP_S)

    def _java(self, main: str, *arguments: str, options: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        archive = class_archive()
        command = [
            "java",
            f"-Xmx{self._heap_mb}m",
            "-Xms128m",
            *self._options,
            *options,
            *([f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []),
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-cp",
            f"{broker_jars()}/*",
            main,
            *arguments,
            str(self._folder / "server.properties"),
        ]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-LOG_TAIL:]


@contextlib.contextmanager
def start_broker(
    port: int | None = None, more: str = "", *, heap_mb: int = HEAP_MB, java: Sequence[str] = QUICK_START
) -> Iterator[KafkaBroker]:
    """A running broker, on a free port unless one is given; killed and removed afterwards."""
    ports = choose_ports()
    nodes = {1: replace(ports, plain=port or ports.plain)}
    broker = KafkaBroker(nodes, 1, cluster_id(), heap_mb=heap_mb, more=more, java=java)
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


def choose_ports() -> Ports:
    """Free ports for a node."""
    return Ports(*free_ports(4))


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing listens on."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(contextlib.closing(socket.socket())) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def is_free(port: int) -> bool:
    """Whether nothing listens on a loopback port."""
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def cluster_id() -> str:
    """The id of a new cluster."""
    return uuid.uuid4().hex[:22]
