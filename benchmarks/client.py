"""What the client costs a model service: latency at 1,000 requests/s with and without it, and the time `observe` takes.

uvicorn runs a FastAPI service in one process, a sidecar runs in another, and this process sends the requests. Rounds
without and with the client alternate. Latency counts from when a request was due, which includes queueing. For the sake
of shared machines, each percentile is taken over its own quietest quarter of the rounds.

python -m benchmarks.client [--sidecar http://127.0.0.1:9464 --token TOKEN]    # default: a sidecar that only reads
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from driftwatch.client import Client
from driftwatch.client.asgi import ObserveMiddleware
from tests.sidecar import Sidecar

RATE = 1_000
ROUNDS, ROUND_S = 16, 1.0
CONNECTIONS = 32
ROW = {f"column_{i}": i / 7 for i in range(20)}
CALLS = 3_000
START_S = 30.0
WAYS = {
    "plain": "without",
    "shared": "ObserveMiddleware",
    "apart": "ObserveMiddleware, linger_s=0",
    "away": "ObserveMiddleware, sidecar unreachable",
    "handler": "observe(rows) in the handler",
}


def service() -> Any:
    """A model service with one route per way of observing; uvicorn builds it in a process of its own."""
    from fastapi import FastAPI

    url, token = os.environ["SIDECAR"], os.environ.get("TOKEN")
    shared, apart = Client(url, token=token), Client(url, token=token, linger_s=0)
    away = Client(f"http://127.0.0.1:{free_port()}")
    app = FastAPI()
    app.add_middleware(ObserveMiddleware, client=shared, paths=["/shared"])
    app.add_middleware(ObserveMiddleware, client=apart, paths=["/apart"])
    app.add_middleware(ObserveMiddleware, client=away, paths=["/away"])

    async def predict(rows: list[dict[str, float]]) -> list[float]:
        return [sum(row.values()) for row in rows]

    async def predict_and_observe(rows: list[dict[str, float]]) -> list[float]:
        shared.observe(rows)
        return [sum(row.values()) for row in rows]

    for way in WAYS:
        app.post(f"/{way}")(predict_and_observe if way == "handler" else predict)
    app.get("/stats")(lambda: {"sharing": shared.stats(), "linger_s=0": apart.stats(), "away": away.stats()})
    return app


def read_for_ever(port: int) -> None:
    """Run a sidecar that reads requests and discards them."""
    with Sidecar(port=port) as sidecar:
        while True:
            time.sleep(1.0)
            sidecar.requests.clear()


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(port: int, *arguments: str, **environment: str) -> Iterator[None]:
    """Run a Python program that listens on a port, until the block ends."""
    running = subprocess.Popen([sys.executable, *arguments], env={**os.environ, **environment})
    try:
        deadline = time.monotonic() + START_S
        while not _listens(port):
            if time.monotonic() > deadline or running.poll() is not None:
                raise RuntimeError(f"did not start: {arguments}")
            time.sleep(0.05)
        yield
    finally:
        running.terminate()
        running.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def latencies(port: int, way: str, seconds: float) -> NDArray[np.float64]:
    """Milliseconds from when each request was due until its response arrived."""
    body = json.dumps([ROW]).encode()
    head = f"POST /{way} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    request = head.encode() + body
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    found: list[float] = []

    async def ask(due: float) -> None:
        reader, writer = await free.get()
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer.decode())
        await reader.readexactly(int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        found.append(1e3 * (time.perf_counter() - due))
        free.put_nowait((reader, writer))

    async with asyncio.TaskGroup() as asking:
        started = time.perf_counter()
        for i in range(int(seconds * RATE)):
            due = started + i / RATE
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            asking.create_task(ask(due))
    while not free.empty():
        free.get_nowait()[1].close()
    return np.array(found)


def measure_service(url: str, token: str | None) -> tuple[Table, Any]:
    """Latency of the service for each way of observing, and its clients' own statistics."""
    port = free_port()
    arguments = ("-m", "uvicorn", "--factory", "benchmarks.client:service", "--port", str(port), "--no-access-log")
    rounds: dict[str, list[NDArray[np.float64]]] = {way: [] for way in WAYS}
    environment = {"SIDECAR": url, **({"TOKEN": token} if token else {})}
    with process(port, *arguments, "--log-level", "warning", **environment):
        for way in WAYS:
            asyncio.run(latencies(port, way, 1.0))  # warms up
        for _ in range(ROUNDS):
            for way in WAYS:
                rounds[way].append(asyncio.run(latencies(port, way, ROUND_S)))
        stats = httpx.get(f"http://127.0.0.1:{port}/stats").json()
    found = {way: _percentiles(each) for way, each in rounds.items()}
    names = ("p50", "p99", "p99 of all rounds")
    table = Table(f"{RATE} requests/s, ms", *names, *(f"adds to {name}" for name in names), box=None)
    for way, name in WAYS.items():
        added = [f"{each:+.2f}" for each in found[way] - found["plain"]]
        table.add_row(name, *(f"{each:.2f}" for each in found[way]), *(added if way != "plain" else ()))
    return table, stats


def _percentiles(rounds: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The p50 and the p99, each over its own quietest quarter of the rounds, and the p99 of all requests."""
    quiet = np.sort([np.percentile(each, [50, 99]) for each in rounds], axis=0)[: max(1, len(rounds) // 4)]
    return np.append(np.median(quiet, axis=0), np.percentile(np.concatenate(rounds), 99))


def measure_middleware(url: str, token: str | None) -> str:
    """How long the middleware occupies the service's thread per request, beyond the application's own time."""

    async def app(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"[]"})

    body = json.dumps([ROW]).encode()
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", b"application/json")]}

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def send(_: Any) -> None:
        return None

    async def each(target: Any) -> list[float]:
        taken = []
        for _ in range(CALLS):
            await asyncio.sleep(1 / RATE)
            before = time.perf_counter()
            await target(scope, receive, send)
            taken.append(1e6 * (time.perf_counter() - before))
        return taken

    with Client(url, token=token) as client:
        plain, observed = asyncio.run(each(app)), asyncio.run(each(ObserveMiddleware(app, client=client, paths=["/"])))
    (a, b), (c, d) = (np.percentile(taken, [50, 99]) for taken in (plain, observed))
    return f"the middleware occupies the thread for {c - a:.0f} microseconds (p50), {d - b:.0f} (p99)"


def measure_calls(url: str, token: str | None) -> Table:
    """How long each call of `observe` takes."""
    rng = np.random.default_rng(0)
    batches = {
        "a row of 20 columns": (RATE, [ROW]),
        "100 rows of 20 columns": (RATE / 50, [ROW] * 100),
        "array (1, 20)": (RATE, rng.normal(size=(1, 20)).astype(np.float32)),
        "array (100, 20)": (RATE, rng.normal(size=(100, 20)).astype(np.float32)),
        "array (8, 3, 224, 224), uint8": (RATE / 50, np.zeros((8, 3, 224, 224), np.uint8)),
    }
    table = Table("observe", "calls/s", "p50, µs", "p99", "worst", "dropped", box=None)
    for name, (rate, batch) in batches.items():
        with Client(url, token=token) as client:
            taken = []
            started = time.perf_counter()
            for i in range(int(3 * rate)):
                time.sleep(max(0.0, started + i / rate - time.perf_counter()))
                before = time.perf_counter()
                client.observe(batch)
                taken.append(1e6 * (time.perf_counter() - before))
            client.flush()
            dropped = client.stats().dropped
        p50, p99 = np.percentile(taken, [50, 99])
        table.add_row(name, f"{rate:.0f}", f"{p50:.0f}", f"{p99:.0f}", f"{max(taken):.0f}", str(dropped))
    return table


def main() -> None:
    """Measure the service, then single calls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sidecar", help="address of a running sidecar")
    parser.add_argument("--token", help="token that the sidecar requires")
    options = parser.parse_args()
    port = free_port()
    url = options.sidecar or f"http://127.0.0.1:{port}"
    reader = ("-c", f"from benchmarks.client import read_for_ever; read_for_ever({port})")
    with process(port, *reader) if not options.sidecar else nullcontext():
        table, stats = measure_service(url, options.token)
        Console().print(table)
        Console().print(stats)
        Console().print(measure_middleware(url, options.token))
        Console().print(measure_calls(url, options.token))


if __name__ == "__main__":
    main()
