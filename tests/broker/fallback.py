"""A stand-in that speaks Kafka's protocol, for machines without Java or Maven; it is not Apache Kafka, and says so."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.broker.broker import free_ports
from tests.patience import PATIENCE_S

PACKAGE = "noida-db==0.2.3"
WARNING = (
    "Apache Kafka cannot run here ({missing}): the tests ran against {package}, which speaks its protocol but is not "
    "Kafka. Not tested: that acknowledged messages survive a crash of the broker (test_broker.py), and that everything "
    "else holds with Kafka itself. Install Java 17 and Maven to test that."
)


@contextlib.contextmanager
def start_fallback() -> Iterator[str]:
    """A running stand-in; yields its address."""
    if importlib.util.find_spec("noida_db") is None:
        _install()
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="driftwatch-fallback-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [_binary(), "start", "--only", "kafka", "--kafka-port", str(port), "--data-dir", folder],
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
            )
        try:
            _wait(f"127.0.0.1:{port}", process, log)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _install() -> None:
    uv = shutil.which("uv")
    tool = [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    subprocess.run([*tool, "--quiet", PACKAGE], check=True, timeout=300)
    importlib.invalidate_caches()


def _binary() -> str:
    found = importlib.util.find_spec("noida_db")
    assert found is not None
    assert found.origin is not None
    binary = Path(found.origin).with_name("noida-db")
    binary.chmod(0o755)
    return str(binary)


def _wait(bootstrap: str, process: subprocess.Popen[bytes], log: Path) -> None:
    pause, deadline = threading.Event(), time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with (
            contextlib.suppress(KafkaError, OSError),
            contextlib.closing(KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=2_000)) as admin,
        ):
            admin.describe_topics()
            return
        pause.wait(0.2)
    raise RuntimeError(f"{PACKAGE} did not start:\n{log.read_text(errors='replace')[-3000:]}")
