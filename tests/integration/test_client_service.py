"""The code in docs/client.md works: a FastAPI service run by uvicorn, and a function that observes its inputs."""

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
from tests import plain_http
from tests.patience import PATIENCE_S
from tests.sidecar import Sidecar

ROOT = Path(__file__).parents[2]
SERVICE, OBSERVING = re.findall(r"```python\n(.+?)```", (ROOT / "docs" / "client.md").read_text(), re.DOTALL)
DOCUMENTED_URL = "http://127.0.0.1:9464"
TABLE = TableSchema(columns=(Column(name="age", kind="numeric"), Column(name="income", kind="numeric")))


@contextmanager
def uvicorn(folder: Path, *options: str) -> Iterator[str]:
    """Run the ``service:app`` of a folder; it is terminated as a supervisor would."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", url.rpartition(":")[2], *options]
    path = os.pathsep.join(map(str, (folder, ROOT)))
    running = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, cwd=folder)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not is_up(url):
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield url
    finally:
        running.terminate()
        running.wait(PATIENCE_S)


def is_up(url: str) -> bool:
    try:
        return plain_http.get(f"{url}/openapi.json").status_code == 200
    except httpx.TransportError:
        return False


def test_the_documented_service_reports_its_inputs(tmp_path: Path) -> None:
    with Sidecar() as sidecar:
        assert DOCUMENTED_URL in SERVICE
        (tmp_path / "service.py").write_text(SERVICE.replace(DOCUMENTED_URL, sidecar.url))
        with uvicorn(tmp_path) as url, plain_http.Client(base_url=url) as caller:
            for age in range(20):
                answer = caller.post("/predict", json=[{"age": age, "income": 0.5}])
                assert (answer.status_code, answer.json()) == (200, [age + 0.5])
            assert caller.post("/predict", json=["no row"]).status_code == 422
        requests = sidecar.requests  # closing the client has sent the rest
    assert {request.headers["driftwatch-stream"] for request in requests} == {b"mine"}
    seen = np.concatenate([decode(request.body, request.headers, TABLE) for request in requests])
    np.testing.assert_array_equal(seen, [[age, 0.5] for age in range(20)])


def test_the_documented_function_reports_a_share_of_its_inputs() -> None:
    with Sidecar() as sidecar:
        assert DOCUMENTED_URL in OBSERVING
        names: dict[str, Any] = {}
        exec(OBSERVING.replace(DOCUMENTED_URL, sidecar.url), names)
        embedded = np.random.default_rng(0).normal(size=(1_000, 4)).astype(np.float32)
        assert names["answer"](["text"], lambda _: embedded, lambda batch: batch is embedded) is True
        names["client"].close()
        (request,) = sidecar.requests
    assert request.headers["driftwatch-stream"] == b"embeddings"
    seen = decode(request.body, request.headers, VectorSchema(dim=4))
    assert 50 < len(seen) < 150
    assert set(map(tuple, seen.tolist())) <= set(map(tuple, embedded.astype(float).tolist()))
