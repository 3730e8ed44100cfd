"""What a request to the intake costs its caller: the response time at 1,000 requests per second.

Requests are sent when they are due, whether or not earlier ones have been answered, and timed from then, so queueing
counts in full. A bare socket server with a constant response shows what the machine and the sender contribute. The
daemon runs in a process of its own, as it does next to a model.

python -m benchmarks.intake
"""

from __future__ import annotations

import argparse
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.processor import processor_s
from driftwatch.data.codecs import encode
from tests.synthetic import SCHEMA, small_bundle, waves

RATE, SECONDS = 1_000, 10.0
CONNECTIONS = 16
WARM_UP = 1_000
READY_S = 300.0

BARE = """
import socket, sys, threading
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
def serve(connection):
    while connection.recv(1 << 20):
        connection.sendall(b"HTTP/1.1 202 Accepted\\r\\ncontent-length: 0\\r\\n\\r\\n")
while True:
    threading.Thread(target=serve, args=listening.accept()[:1], daemon=True).start()
"""


@dataclass(frozen=True)
class Load:
    """The response times of a load.

    Args:
        taken_ms: time of each request, from when it was due to its response.
        accepted: responses with status 202.
        cpu: the server's CPU time, as a share of the time that passed.
    """

    taken_ms: np.ndarray
    accepted: int
    cpu: float


def request_of(batch: int) -> bytes:
    """An event of KServe's logger with a batch of samples."""
    body, _ = encode(waves(batch, seed=1), SCHEMA, "json")
    head = (
        "POST / HTTP/1.1",
        "Host: 127.0.0.1",
        "User-Agent: Go-http-client/1.1",
        f"Content-Length: {len(body)}",
        "Ce-Id: 36549ea1-7c9a-4a8c-9ac0-1a7d1d6e0a44",
        "Ce-Inferenceservicename: waves",
        "Ce-Namespace: models",
        "Ce-Component: predictor",
        "Ce-Source: http://localhost:9081/",
        "Ce-Specversion: 1.0",
        "Ce-Time: 2026-01-01T00:00:00.123456789Z",
        "Ce-Type: org.kubeflow.serving.inference.request",
        "Content-Type: application/x-www-form-urlencoded",
        "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    return "\r\n".join((*head, "", "")).encode() + body


def send(port: int, request: bytes, count: int, rate: float) -> tuple[np.ndarray, int]:
    """Send `count` requests at a steady rate; return each one's time from when it was due, ms, and the count of 202."""
    chooser = selectors.DefaultSelector()
    free: list[socket.socket] = []
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        chooser.register(connection, selectors.EVENT_READ)
        free.append(connection)
    due_of: dict[socket.socket, float] = {}
    part_of: dict[socket.socket, bytes] = {}
    taken: list[float] = []
    accepted = sent = 0
    began = time.perf_counter()
    while len(taken) < count:
        now = time.perf_counter()
        while sent < count and free and began + sent / rate <= now:
            connection = free.pop()
            due_of[connection] = began + sent / rate
            connection.sendall(request)
            sent += 1
        pause = max(0.0, began + sent / rate - time.perf_counter()) if sent < count and free else None
        for key, _ in chooser.select(pause):
            answering = key.fileobj
            assert isinstance(answering, socket.socket)
            received = answering.recv(1 << 16)
            assert received, "the server hung up"
            answer = part_of.pop(answering, b"") + received
            if not _complete(answer):
                part_of[answering] = answer
                continue
            taken.append(time.perf_counter() - due_of.pop(answering))
            accepted += answer.startswith(b"HTTP/1.1 202")
            free.append(answering)
    for connection in free:
        connection.close()
    return np.array(taken) * 1e3, accepted


def _complete(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")) if end else b""
    return bool(end) and len(body) >= int(length.split(b":")[1])


def measure(port: int, pid: int, batch: int) -> Load:
    """Measure a server under load, after a warm-up."""
    request = request_of(batch)
    send(port, request, WARM_UP, RATE)
    cpu, began = processor_s(pid), time.perf_counter()
    taken, accepted = send(port, request, int(RATE * SECONDS), RATE)
    return Load(taken, accepted, (processor_s(pid) - cpu) / (time.perf_counter() - began))


@contextmanager
def bare_server() -> Iterator[tuple[int, int]]:
    """The port and process ID of a server with a constant response."""
    with subprocess.Popen([sys.executable, "-c", BARE], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


@contextmanager
def daemon(folder: Path, bundle: Path, fraction: float) -> Iterator[tuple[int, int]]:
    """The port and process ID of a daemon that is ready."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    config = {
        "source": {"kind": "http"},
        "streams": [{"name": "waves", "reference": str(bundle), "sample_fraction": fraction}],
        "server": {"port": port},
        "log": {"level": "error"},
    }
    path = folder / "intake.daemon.yaml"
    path.write_text(yaml.safe_dump(config))
    process = subprocess.Popen([sys.executable, "-m", "driftwatch", "run", str(path)])
    try:
        deadline = time.monotonic() + READY_S
        while not _ready(port):
            assert process.poll() is None, "the daemon has ended"
            assert time.monotonic() < deadline, f"the daemon is not ready after {READY_S:.0f} s"
            time.sleep(0.2)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def main() -> None:
    """Print a row per server and load."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    console = Console()
    table = Table("server", "p50 ms", "p99 ms", "p99.9 ms", "accepted", "share of a core", box=None)

    def row(name: str, load: Load) -> None:
        p50, p99, p999 = np.percentile(load.taken_ms, [50, 99, 99.9])
        share = load.accepted / len(load.taken_ms)
        console.print(f"{name}: p99 {p99:.2f} ms", style="dim")
        table.add_row(name, f"{p50:.2f}", f"{p99:.2f}", f"{p999:.2f}", f"{share:.1%}", f"{load.cpu:.0%}")

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = small_bundle(folder)
        with bare_server() as server:
            row("a bare socket server", measure(*server, batch=1))
        with daemon(folder, bundle, 1e-9) as server:
            row("intake, 1 sample per request, none scored", measure(*server, batch=1))
        with daemon(folder, bundle, 1.0) as server:
            row("intake, 1 sample per request, all scored", measure(*server, batch=1))
            row("intake, 32 samples per request: more than can be scored", measure(*server, batch=32))
    console.print(
        f"{RATE:,} requests per second for {SECONDS:g} s over {CONNECTIONS} connections, load average before: "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    console.print(table)


if __name__ == "__main__":
    main()
