"""A daemon's roles in threads of the test process: it starts at once, and the test sees its events."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from driftwatch.config import DaemonConfig
from driftwatch.daemon import Daemon
from driftwatch.reference.reference import Reference
from driftwatch.running import Monitor, RoleThread, build_monitor
from driftwatch.stream.events import Event
from tests.patience import PATIENCE_S

TICK_S = 0.05


@dataclass
class Threads:
    """Running roles."""

    monitor: Monitor
    roles: list[RoleThread]
    events: list[Event] = field(default_factory=list)

    def seen(self, kind: type[Event], /, **fields: Any) -> list[Any]:
        """The events of a kind so far whose fields have these values."""
        return [
            event
            for event in self.events
            if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items())
        ]

    def wait_for(self, what: str, done: Callable[[], Any]) -> Any:
        """Wait until a condition holds, and return its value; fails at once if a role has ended with an error."""
        pause = threading.Event()
        for _ in range(int(PATIENCE_S / TICK_S)):
            if found := done():
                return found
            assert not [role.error for role in self.roles if role.error], [role.error for role in self.roles]
            pause.wait(TICK_S)
        raise AssertionError(f"no {what} in {PATIENCE_S:.0f} s: {self.monitor.health.ready()[1]}")

    def metric(self, name: str) -> float:
        """The sum over all series of a metric whose name and labels start with a prefix."""
        lines = self.monitor.metrics.render()[0].decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def daemon_of(config: Mapping[str, Any], reference: Reference) -> tuple[Daemon, list[Event]]:
    """A daemon whose streams share one reference, calibrated once for all its runs, and the list of its events."""
    loaded = DaemonConfig.model_validate(config)
    events: list[Event] = []
    daemon = Daemon(
        loaded, {str(stream.reference): reference for stream in loaded.streams}, build_monitor(loaded, events.append)
    )
    daemon.prepare()
    return daemon, events


@contextlib.contextmanager
def running(made: tuple[Daemon, list[Event]], *names: str) -> Iterator[Threads]:
    """Run the named roles, or all, until the end of the block; events of earlier runs are cleared."""
    daemon, events = made
    events.clear()
    stop = threading.Event()
    roles = [RoleThread(role, stop, threading.Event()) for role in daemon.roles() if not names or role.name in names]
    for role in roles:
        role.start()
    try:
        yield Threads(daemon.monitor, roles, events)
    finally:
        stop.set()
        for role in roles:
            role.join(PATIENCE_S)
