"""Daemons as users run them: as separate processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import orjson
import yaml

from tests import plain_http
from tests.forked import Forked, fork
from tests.patience import PATIENCE_S

NONE: Mapping[str, str] = MappingProxyType({})


@dataclass
class RunningDaemon:
    """A daemon in its own process."""

    process: subprocess.Popen[bytes] | Forked
    log: Path
    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)

    def lines(self) -> list[dict[str, Any]]:
        """The events that it has logged."""
        return [orjson.loads(line) for line in self.log.read_bytes().splitlines() if line.startswith(b"{")]

    def wait_for(self, what: str, done: Callable[[], bool]) -> None:
        """Wait until a condition holds; fails at once if the daemon exits first."""
        pause, deadline = threading.Event(), time.monotonic() + PATIENCE_S
        while not done():
            assert self.process.poll() is None, f"exited with {self.process.returncode}:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"no {what} in {PATIENCE_S:.0f} s:\n{self.log.read_text()[-4000:]}"
            pause.wait(0.05)

    def get(self, path: str) -> httpx.Response:
        return plain_http.get(f"{self.url}{path}")

    def metric(self, name: str) -> float:
        """The sum over all series of a metric whose name and labels start with a prefix."""
        lines = [line for line in self.get("/metrics").text.splitlines() if line.startswith(name)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def stop(self) -> float:
        """Stop the daemon with SIGTERM; returns how many seconds that took, without its threads' waits for a core.

        So it can be held against what is promised, however many others use the machine.
        """
        before = waits_for_core(self.process.pid)
        waited, pause, started = dict(before), threading.Event(), time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        while self.process.poll() is None:
            assert time.monotonic() < started + PATIENCE_S, self.log.read_text()
            waited |= waits_for_core(self.process.pid)
            pause.wait(0.02)
        seconds = time.monotonic() - started
        assert self.process.returncode == 0, self.log.read_text()
        return seconds - sum(each - before.get(thread, 0.0) for thread, each in waited.items())


def waits_for_core(pid: int) -> dict[str, float]:
    """How many seconds each thread of a process could have run but had no core, by its number; see proc(5)."""
    found = {}
    with suppress(FileNotFoundError, ProcessLookupError):  # a thread or the process has ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found[thread.name] = int((thread / "schedstat").read_text().split()[1]) / 1e9
    return found


def launch(
    config: Mapping[str, Any],
    folder: Path,
    name: str,
    *,
    environment: Mapping[str, str] = NONE,
    code: Path | None = None,
) -> RunningDaemon:
    """Start a daemon.

    Args:
        config: its configuration.
        folder: where the files with its configuration and its log go.
        name: the stem of both files.
        environment: variables to add to this process's own.
        code: the folder with the package; None for this checkout.
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
    """Start a daemon as `launch` does, but faster: forked from a process that has imported the libraries."""
    path, log = _written(config, folder, name)
    with log.open("wb") as file:
        return RunningDaemon(fork(["run", str(path)], file, environment=os.environ), log)


def _written(config: Mapping[str, Any], folder: Path, name: str) -> tuple[Path, Path]:
    """The files for a daemon's configuration and its log; the first is written."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"server": {"port": 0}, "log": {"format": "json"}, **config}))
    return path, path.with_suffix(".log")
