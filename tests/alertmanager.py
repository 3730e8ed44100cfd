"""A real Alertmanager, as packaged by Debian, on its own port; a test may stop and restart it."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests import plain_http
from tests.patience import PATIENCE_S
from tests.programs import required

PROGRAMS = ("prometheus-alertmanager", "amtool")


def eventually(what: str, holds: Callable[[], Any]) -> Any:
    """Wait until a condition holds, and return its value."""
    pause, deadline = threading.Event(), time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < deadline, f"no {what} in {PATIENCE_S:.0f} s"
        pause.wait(0.02)
    return found


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@dataclass
class RealAlertmanager:
    """An Alertmanager process, its folder and its address."""

    folder: Path
    webhook: str = ""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        config: dict[str, Any] = {
            "global": {"resolve_timeout": "1s"},
            "route": {
                "receiver": "hook",
                "group_by": ["alertname", "stream"],
                "group_wait": "100ms",
                "group_interval": "200ms",
            },
            "receivers": [{"name": "hook"}],
        }
        if self.webhook:
            config["receivers"][0]["webhook_configs"] = [{"url": self.webhook}]
        path = self.folder / "alertmanager.yml"
        path.write_text(yaml.safe_dump(config))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    PROGRAMS[0],
                    f"--config.file={path}",
                    f"--storage.path={self.folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--cluster.listen-address=",
                ],
                stdout=log,
                stderr=log,
            )
        eventually("Alertmanager", self._ready)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)
            self.process = None

    def alerts(self, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = plain_http.get(f"{self.url}/api/v2/alerts", params=query).json()
        return found

    def groups(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = plain_http.get(f"{self.url}/api/v2/alerts/groups").json()
        return found

    def amtool(self, *arguments: str) -> str:
        done = subprocess.run(
            [PROGRAMS[1], f"--alertmanager.url={self.url}", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return plain_http.get(f"{self.url}/-/ready").is_success
        except httpx.HTTPError:
            return False


@contextmanager
def running_alertmanager(folder: Path, webhook: str = "") -> Iterator[RealAlertmanager]:
    """A running Alertmanager, which is stopped at the end whatever happens."""
    for program in PROGRAMS:
        required(program, "prometheus-alertmanager")
    folder.mkdir(parents=True, exist_ok=True)
    started = RealAlertmanager(folder, webhook)
    try:
        started.start()
        yield started
    finally:
        started.stop()
