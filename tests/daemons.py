"""Daemons as users run them: as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import orjson
import yaml

from tests.forked import Forked, fork

WAIT_S = 90.0
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass
class RunningDaemon:
    """A daemon in a process of its own."""

    process: subprocess.Popen[bytes] | Forked
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


def launch(
    config: Mapping[str, Any],
    folder: Path,
    name: str,
    *,
    environment: Mapping[str, str] = NONE,
    code: Path | None = None,
) -> RunningDaemon:
    """Starts a daemon; its configuration and its log are files of that name in the folder.

    Args:
        config: of the daemon.
        folder: for the files.
        name: of the files.
        environment: variables beside this process's own.
        code: folder that has the package; None for the one that is here.
    """
    path, log = _written(config, folder, name)
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "driftwatch", "run", str(path)],
            stdout=file,
            stderr=file,
            env={**os.environ, **environment},
            cwd=code,
        )
    return RunningDaemon(process, log)


Launch = Callable[[Mapping[str, Any], Path, str], RunningDaemon]
"""`launch` or `launch_forked`."""


def launch_forked(config: Mapping[str, Any], folder: Path, name: str) -> RunningDaemon:
    """Likewise, but sooner: Python and the libraries have started already."""
    path, log = _written(config, folder, name)
    with log.open("wb") as file:
        return RunningDaemon(fork(["run", str(path)], file, environment=os.environ), log)


def _written(config: Mapping[str, Any], folder: Path, name: str) -> tuple[Path, Path]:
    """The file of its configuration, and that of its log."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"server": {"port": 0}, "log": {"format": "json"}, **config}))
    return path, path.with_suffix(".log")
