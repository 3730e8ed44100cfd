"""Runs sinks, which can be replaced while the daemon runs; no alert is lost in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from driftwatch.alerts.alertmanager import AlertmanagerClient, AlertmanagerUpkeep
from driftwatch.alerts.delivery import QueueDelivery, TopicDelivery, TopicStanding
from driftwatch.alerts.sinks import Sink, build_sinks
from driftwatch.config import DaemonConfig, KafkaSource, named_sinks, one_by_one
from driftwatch.running import Monitor, Role, RoleThread
from driftwatch.stream.announcement import Announcement

CHECK_S = 0.2


class Taker(Protocol):
    """Accepts alerts for a sink."""

    def submit(self, alert: Announcement) -> None:
        """Accept an alert; never waits for the sink."""


SinkRoles = tuple[Sequence[Role], Sequence[Taker]]
"""The roles of a sink, and those of them that accept alerts where no topic does."""


@dataclass(frozen=True, eq=False)
class Outlet:
    """A connected sink, and the roles that will bring alerts to it.

    Args:
        made_from: its configuration; outlets with an equal one are interchangeable.
        begin: makes its roles.
        close: releases the connection.
    """

    made_from: object
    begin: Callable[[], SinkRoles]
    close: Callable[[], None]


class _RunningOutlet:
    """An outlet whose roles are running."""

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        roles, self.takers = outlet.begin()
        self._stopping, self.ended = threading.Event(), threading.Event()
        self._threads = [RoleThread(role, self._stopping, self.ended) for role in roles]
        for thread in self._threads:
            thread.start()

    def request_stop(self) -> None:
        self._stopping.set()

    def close(self) -> None:
        """Wait until its roles have ended.

        Raises:
            DriftwatchError: a role ended with this error.
        """
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self.outlet.close()
        for thread in self._threads:
            if thread.error is not None:
                raise thread.error
            if not thread.completed:
                raise RuntimeError(f"role {thread.role.name} has died")


class Delivering:
    """A role that runs the roles of sinks.

    Args:
        outlets: the initial ones, by the sink's name.
    """

    name = "sinks"

    def __init__(self, outlets: Mapping[str, Outlet]) -> None:
        self._lock = threading.Lock()
        self._outlets = outlets
        self._open: dict[str, _RunningOutlet] = {}
        # Alerts that came while some outlets are not open yet, for these.
        self._pending: list[Announcement] | None = []

    def submit(self, alert: Announcement) -> None:
        """Accept an alert for every sink."""
        with self._lock:
            for each in self._open.values():
                for taker in each.takers:
                    taker.submit(alert)
            if self._pending is not None:
                self._pending.append(alert)

    def replace(self, outlets: Mapping[str, Outlet]) -> None:
        """Replace the sinks by others; sinks with an unchanged configuration stay as they are."""
        with self._lock:
            kept = {
                name: old
                for name, old in self._outlets.items()
                if name in outlets and outlets[name].made_from == old.made_from
            }
            for name in kept:
                outlets[name].close()
            self._outlets = {**outlets, **kept}
            self._pending = []

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set, or a sink's role has ended.

        Raises:
            DriftwatchError: a role ended with this error.
        """
        try:
            while True:
                outlets = self._outlets
                for name in [name for name, each in self._open.items() if outlets.get(name) is not each.outlet]:
                    self._open[name].close()
                    with self._lock:
                        del self._open[name]
                self._begin(outlets)
                if stop.wait(CHECK_S) or any(each.ended.is_set() for each in self._open.values()):
                    break
        finally:
            for each in self._open.values():
                each.request_stop()
            for each in self._open.values():
                each.close()

    def _begin(self, outlets: Mapping[str, Outlet]) -> None:
        """Open outlets that are not open, and give them the alerts that came meanwhile."""
        with self._lock:
            new = [name for name in outlets if name not in self._open]
            for name in new:
                self._open[name] = _RunningOutlet(outlets[name])
                for alert in self._pending or ():
                    for taker in self._open[name].takers:
                        taker.submit(alert)
            if outlets is self._outlets:
                self._pending = None


def outlets_of(config: DaemonConfig, streams: Collection[str], monitor: Monitor) -> dict[str, Outlet]:
    """The sinks of a configuration, connected, by name.

    Args:
        config: the configuration.
        streams: the streams that are watched; they may change.
        monitor: receives events about deliveries.

    Raises:
        ConfigError: a sink cannot be made.
    """
    if "test" not in config.roles:
        return {}
    sinks, stated = build_sinks(config), dict(named_sinks(one_by_one(config.sinks)))
    observe, tracer = monitor.observe, monitor.tracer
    source, folder = config.source, config.local_state
    alerts = config.alerts.runbook_url, dict(config.alerts.severity)
    found: dict[str, Outlet] = {}

    def begin_delivery(sink: Sink) -> SinkRoles:
        if isinstance(source, KafkaSource):
            return [TopicDelivery(sink, source, config.alerts_topic, observe, tracer)], []
        saved = folder / f"{sink.name}.undelivered.jsonl" if folder else None
        delivery = QueueDelivery(sink, observe, saved, tracer)
        return [delivery], [delivery]

    def begin_upkeep(client: AlertmanagerClient) -> SinkRoles:
        saved = folder / f"{client.name}.firing.json" if folder else None
        upkeep = AlertmanagerUpkeep(client, streams, observe, saved, tracer)
        if isinstance(source, KafkaSource):
            return [upkeep, TopicStanding(upkeep, source, config.alerts_topic, observe)], []
        return [upkeep], [upkeep]

    for sink in sinks.each:
        found[sink.name] = Outlet((stated[sink.name], alerts), partial(begin_delivery, sink), sink.close)
    for client in sinks.kept_up:
        found[client.name] = Outlet((stated[client.name], alerts), partial(begin_upkeep, client), client.close)
    return found
