"""Replicas of one daemon: started, stopped, killed, frozen, each with its own wall clock."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from tests.chaos.clock import Clocks
from tests.daemons import RunningDaemon, launch

PRESENT = Path(__file__).parents[2]
"""The folder with the code under test."""

NAMES = ("a", "b", "c", "nameless")
STOP_S = 30.0
LOG_TAIL = 3_000
FENCED = re.compile(
    "UnknownMemberIdError|IllegalGenerationError|FencedInstanceIdError|"
    "ProducerFencedError|InvalidProducerEpochError|lost its membership"
)
"""Kafka's errors for a member or producer that was replaced, and a role's own."""


class Fleet:
    """At most as many replicas as there are names.

    All but the last keep their names over restarts, like pods of a StatefulSet. When the nameless one is killed, its
    partitions and transactions stay blocked until the broker's time-outs.

    Args:
        config: of each replica, without its name.
        folder: for configurations and logs.
        versions: folders with driftwatch's code; the first runs until `roll` changes to the next.
    """

    def __init__(self, config: Mapping[str, Any], folder: Path, versions: Sequence[Path] = (PRESENT,)) -> None:
        self._config = config
        self._folder = folder
        self._versions = cycle(versions)
        self._version = next(self._versions)
        self._started: list[RunningDaemon] = []
        self.clocks = Clocks(folder)
        self.running: dict[str, RunningDaemon] = {}

    @property
    def missing(self) -> list[str]:
        """Names of replicas that are not running."""
        return [name for name in NAMES if name not in self.running]

    def start(self, name: str) -> RunningDaemon:
        """Start a replica."""
        own: dict[str, Any] = {"instance": name if name != NAMES[-1] else None}
        if self._version == PRESENT:
            # Each of three nodes has a replica in its rack that reads from it; the nameless one reads from leaders.
            own["rack"] = f"rack-{NAMES.index(name) + 1}"
        config = {**self._config, "source": {**self._config["source"], **own}}
        file = f"{len(self._started):03}-{name}"
        daemon = launch(config, self._folder, file, environment=self.clocks.environment(name), code=self._version)
        self._started.append(daemon)
        self.running[name] = daemon
        return daemon

    def roll(self) -> None:
        """Replace replicas one by one with the next version, each once its predecessor has been assigned partitions."""
        self._version = next(self._versions)
        for name in sorted(self.running):
            self.stop(name)
            daemon = self.start(name)
            daemon.wait_for("share of the work", lambda daemon=daemon: _working(daemon))

    def hang_up(self, name: str) -> None:
        """Send SIGHUP to a replica, unless it has just started: before Python handles the signal, it is fatal."""
        daemon = self.running[name]
        if daemon.lines():
            daemon.process.send_signal(signal.SIGHUP)

    def kill(self, name: str) -> None:
        """Kill a replica."""
        self.running.pop(name).kill()

    def freeze(self, name: str) -> None:
        """Suspend a replica until `wake`."""
        os.kill(self.running[name].process.pid, signal.SIGSTOP)

    def wake(self, name: str) -> None:
        """Resume a frozen replica."""
        os.kill(self.running[name].process.pid, signal.SIGCONT)

    def stop(self, name: str) -> None:
        """Stop a replica, and wait for it.

        Raises:
            RuntimeError: it failed; one that has just started may still be ended by the signal itself.
        """
        daemon = self.running.pop(name)
        daemon.process.terminate()
        if daemon.process.wait(STOP_S) not in (0, -signal.SIGTERM):
            raise _exited(name, daemon)

    def stop_all(self) -> None:
        """Stop every replica, and wait for them."""
        for name in list(self.running):
            self.stop(name)

    def check(self) -> None:
        """Raise if a replica has exited by itself.

        Raises:
            RuntimeError: with the end of its log.
        """
        for name, daemon in self.running.items():
            if daemon.process.poll() is not None:
                raise _exited(name, daemon)

    def fenced(self) -> Counter[str]:
        """How often commits of a replaced replica were refused, by the name of the error."""
        found: Counter[str] = Counter()
        for daemon in self._started:
            found.update(FENCED.findall(daemon.log.read_text(errors="replace")))
        return found

    def close(self) -> None:
        """Kill the replicas that are still running."""
        for name in list(self.running):
            self.kill(name)


def name_of(instance: str) -> str:
    """The replica with an instance name as the brokers know it; the nameless one has a new one at each start."""
    return instance if instance in NAMES else NAMES[-1]


def _working(daemon: RunningDaemon) -> bool:
    """Whether it has been assigned partitions in both of its roles."""
    return {line.get("role") for line in daemon.lines() if line["event"] == "partitions assigned"} >= {"score", "test"}


def _exited(name: str, daemon: RunningDaemon) -> RuntimeError:
    log = daemon.log.read_text(errors="replace")[-LOG_TAIL:]
    return RuntimeError(f"replica {name} exited with {daemon.process.returncode}:\n{log}")
