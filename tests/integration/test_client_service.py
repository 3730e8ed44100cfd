"""What docs/client.md tells users to write works: a FastAPI service run by uvicorn, and a function that observes."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from driftwatch.data.codecs import decode
from driftwatch.data.schema import Column, TableSchema, VectorSchema
from tests.sidecar import Sidecar

ROOT = Path(__file__).parents[2]
SERVICE, OBSERVING = re.findall(r"```python\n(.+?)```", (ROOT / "docs" / "client.md").read_text(), re.DOTALL)
TOLD_URL = "http://127.0.0.1:9464"
START_S = 60.0
TABLE = TableSchema(columns=(Column(name="age", kind="numeric"), Column(name="income", kind="numeric")))


@contextmanager
def uvicorn(folder: Path, *options: str) -> Iterator[str]:
    """Runs ``service:app`` of a folder; ended as a supervisor ends it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", url.rpartition(":")[2], *options]
    path = os.pathsep.join(map(str, (folder, ROOT)))
    running = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, cwd=folder)
    try:
        deadline = time.monotonic() + START_S
        while not answers(url):
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield url
    finally:
        running.terminate()
        running.wait(START_S)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/openapi.json").status_code == 200
    except httpx.TransportError:
        return False


def test_the_service_shows_what_it_was_asked(tmp_path: Path) -> None:
    with Sidecar() as sidecar:
        assert TOLD_URL in SERVICE
        (tmp_path / "service.py").write_text(SERVICE.replace(TOLD_URL, sidecar.url))
        with uvicorn(tmp_path) as url, httpx.Client(base_url=url) as caller:
            for age in range(20):
                answer = caller.post("/predict", json=[{"age": age, "income": 0.5}])
                assert (answer.status_code, answer.json()) == (200, [age + 0.5])
            assert caller.post("/predict", json=["no row"]).status_code == 422
        requests = sidecar.requests  # what waited was sent at the end
    assert {request.headers["driftwatch-stream"] for request in requests} == {b"mine"}
    seen = np.concatenate([decode(request.body, request.headers, TABLE) for request in requests])
    np.testing.assert_array_equal(seen, [[age, 0.5] for age in range(20)])


def test_the_function_shows_what_it_predicts_on() -> None:
    with Sidecar() as sidecar:
        assert TOLD_URL in OBSERVING
        names: dict[str, Any] = {}
        exec(OBSERVING.replace(TOLD_URL, sidecar.url), names)
        embedded = np.random.default_rng(0).normal(size=(1_000, 4)).astype(np.float32)
        assert names["answer"](["text"], lambda _: embedded, lambda batch: batch is embedded) is True
        names["client"].close()
        (request,) = sidecar.requests
    assert request.headers["driftwatch-stream"] == b"embeddings"
    seen = decode(request.body, request.headers, VectorSchema(dim=4))
    assert 50 < len(seen) < 150
    assert set(map(tuple, seen.tolist())) <= set(map(tuple, embedded.astype(float).tolist()))
