"""Replicas of one daemon: started, stopped, killed, frozen."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.daemons import RunningDaemon, launch

NAMES = ("a", "b", "nameless")
STOP_S = 30.0
TOLD = 3_000


class Fleet:
    """At most as many replicas as there are names.

    Two keep their names over restarts, as pods of a StatefulSet do. What the third one leaves behind when it is killed
    is nobody's, until the broker's patience ends.

    Args:
        config: of each, but for its name.
        folder: for configurations and logs.
    """

    def __init__(self, config: Mapping[str, Any], folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._starts = 0
        self.running: dict[str, RunningDaemon] = {}

    @property
    def missing(self) -> list[str]:
        """Names of replicas that do not run."""
        return [name for name in NAMES if name not in self.running]

    def start(self, name: str) -> RunningDaemon:
        """Starts a replica."""
        instance = name if name != NAMES[-1] else None
        config = {**self._config, "source": {**self._config["source"], "instance": instance}}
        self._starts += 1
        self.running[name] = launch(config, self._folder, f"{self._starts:03}-{name}")
        return self.running[name]

    def kill(self, name: str) -> None:
        """Ends a replica at once."""
        self.running.pop(name).kill()

    def freeze(self, name: str) -> None:
        """Lets a replica do nothing at all, until it is woken."""
        os.kill(self.running[name].process.pid, signal.SIGSTOP)

    def wake(self, name: str) -> None:
        """Lets a frozen replica go on."""
        os.kill(self.running[name].process.pid, signal.SIGCONT)

    def stop(self, name: str) -> None:
        """Asks a replica to stop, and waits until it has.

        Raises:
            RuntimeError: it failed; one that has hardly begun knows no better than to end by the signal.
        """
        daemon = self.running.pop(name)
        daemon.process.terminate()
        if daemon.process.wait(STOP_S) not in (0, -signal.SIGTERM):
            raise _ended(name, daemon)

    def stop_all(self) -> None:
        """Asks every replica to stop, and waits until they have."""
        for name in list(self.running):
            self.stop(name)

    def check(self) -> None:
        """Raises if a replica has ended that nobody has ended.

        Raises:
            RuntimeError: with the end of its log.
        """
        for name, daemon in self.running.items():
            if daemon.process.poll() is not None:
                raise _ended(name, daemon)

    def close(self) -> None:
        """Kills whichever still runs."""
        for name in list(self.running):
            self.kill(name)


def _ended(name: str, daemon: RunningDaemon) -> RuntimeError:
    log = daemon.log.read_text(errors="replace")[-TOLD:]
    return RuntimeError(f"replica {name} ended with {daemon.process.returncode}:\n{log}")
