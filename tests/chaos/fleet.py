"""Replicas of one daemon: started, stopped, killed, frozen, and each with a wall clock of its own."""

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
"""Has the code that is tested."""

NAMES = ("a", "b", "c", "nameless")
STOP_S = 30.0
TOLD = 3_000
FENCED = re.compile(
    "UnknownMemberIdError|IllegalGenerationError|FencedInstanceIdError|"
    "ProducerFencedError|InvalidProducerEpochError|lost its membership"
)
"""How Kafka refuses whoever was replaced, and how a role refuses itself."""


class Fleet:
    """At most as many replicas as there are names.

    All but the last one keep their names over restarts, as pods of a StatefulSet do. What the last one leaves behind
    when it is killed is nobody's, until the broker's patience ends.

    Args:
        config: of each, but for its name.
        folder: for configurations and logs.
        versions: folders with driftwatch's code, of which the first is run until another one's turn comes.
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
        """Names of replicas that do not run."""
        return [name for name in NAMES if name not in self.running]

    def start(self, name: str) -> RunningDaemon:
        """Starts a replica."""
        own: dict[str, Any] = {"instance": name if name != NAMES[-1] else None}
        if self._version == PRESENT:
            # Of three nodes each has its reader, and the last replica reads from leaders.
            own["rack"] = f"rack-{NAMES.index(name) + 1}"
        config = {**self._config, "source": {**self._config["source"], **own}}
        file = f"{len(self._started):03}-{name}"
        daemon = launch(config, self._folder, file, environment=self.clocks.environment(name), code=self._version)
        self._started.append(daemon)
        self.running[name] = daemon
        return daemon

    def roll(self) -> None:
        """Replaces all replicas, one after another, each by one of the next version that takes its share first."""
        self._version = next(self._versions)
        for name in sorted(self.running):
            self.stop(name)
            daemon = self.start(name)
            daemon.wait_for("share of the work", lambda daemon=daemon: _working(daemon))

    def hang_up(self, name: str) -> None:
        """Asks a replica to look for another reference; not before it runs Python, which the signal would end."""
        daemon = self.running[name]
        if daemon.lines():
            daemon.process.send_signal(signal.SIGHUP)

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

    def fenced(self) -> Counter[str]:
        """How often a replica, replaced meanwhile, was refused what it wanted to commit; by the error's name."""
        found: Counter[str] = Counter()
        for daemon in self._started:
            found.update(FENCED.findall(daemon.log.read_text(errors="replace")))
        return found

    def close(self) -> None:
        """Kills whichever still runs."""
        for name in list(self.running):
            self.kill(name)


def name_of(instance: str) -> str:
    """The replica that calls itself so towards the brokers; the nameless one calls itself anew at each start."""
    return instance if instance in NAMES else NAMES[-1]


def _working(daemon: RunningDaemon) -> bool:
    """Whether partitions were given to it, in both of its roles."""
    return {line.get("role") for line in daemon.lines() if line["event"] == "partitions assigned"} >= {"score", "test"}


def _ended(name: str, daemon: RunningDaemon) -> RuntimeError:
    log = daemon.log.read_text(errors="replace")[-TOLD:]
    return RuntimeError(f"replica {name} ended with {daemon.process.returncode}:\n{log}")
