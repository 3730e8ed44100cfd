"""What every daemon has, whatever its roles: threads for them, signals that stop it, and its HTTP endpoints."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

import structlog

from driftwatch.config import DaemonConfig, HttpSource, ReplaySource
from driftwatch.errors import DriftwatchError
from driftwatch.serve.health import Health
from driftwatch.serve.http import HttpServer, Listener
from driftwatch.serve.intake import Intake
from driftwatch.serve.metrics import Metrics
from driftwatch.serve.status import Status, Watched
from driftwatch.stream.events import Observer, fan_out
from driftwatch.stream.intake_queue import IntakeQueue
from driftwatch.tracing import Tracer, open_tracer

STALL_S = 120.0
STOP_S = 4.0
STOPS = (signal.SIGTERM, signal.SIGINT)
SWITCH_S = 2e-5
"""Python's thread switch interval beside an HTTP intake. At the default of 5 ms, a request waits for scoring at each
step of its way: 10 ms for one in a hundred, instead of 2.5 (benchmarks/intake.py)."""

NEW_OBJECTS = 7_000
"""New objects before the youngest are collected, ten times Python's default. What a unit of work needs is gone by then,
instead of being walked through while in use, which took a twelfth of testing (`benchmarks.stages`). Full collections
come every hundredth time and walk through all streams' panes: with a thousand, and Python's default, they took a third
of testing (`benchmarks.growth`), for hardly any gain."""

log = structlog.get_logger("driftwatch")


class Role(Protocol):
    """Something that runs in a thread until stopped."""

    name: str

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, or all is done."""


class RoleThread(threading.Thread):
    """Runs one role, and keeps the error that ended it, if any.

    Args:
        role: to run.
        stop: requests it to stop.
        ended: is set when the role has ended, for whatever reason.
    """

    def __init__(self, role: Role, stop: threading.Event, ended: threading.Event) -> None:
        super().__init__(name=role.name, daemon=True)
        self.role = role
        self.error: DriftwatchError | None = None
        self.completed = False
        self._stopping = stop
        self._ended = ended

    def run(self) -> None:
        """Called by the thread."""
        try:
            self.role.run(self._stopping)
            self.completed = True
        except DriftwatchError as error:
            self.error = error
        finally:
            self._ended.set()


class Runnable(Protocol):
    """Something that consists of roles."""

    monitor: Monitor

    def roles(self) -> Sequence[Role]:
        """The roles to run."""

    def close(self) -> None:
        """Called when all roles have ended."""


@dataclass(frozen=True)
class Monitor:
    """Everything that monitors a daemon: metrics, health and status, the observer that feeds them, and the tracer."""

    metrics: Metrics
    health: Health
    status: Status
    observe: Observer
    tracer: Tracer


def build_monitor(config: DaemonConfig, *more: Observer) -> Monitor:
    """Metrics, health, status and tracer of a daemon that is about to start.

    Raises:
        ConfigError: traces are configured, and OpenTelemetry is not installed.
    """
    roles = _role_names(config)
    streams = [stream.name for stream in config.streams]
    metrics = Metrics(
        streams=streams, severities=list(config.alerts.severity), sizes=config.windows.counts, roles=roles
    )
    health, status = Health(roles, STALL_S), Status(Watched(tuple(streams), tuple(config.windows.sizes), tuple(roles)))
    health.expect(streams)
    observe = fan_out(metrics, health, status, *more)
    return Monitor(metrics, health, status, observe, open_tracer(config.tracing))


def _role_names(config: DaemonConfig) -> list[str]:
    if isinstance(config.source, ReplaySource):
        return ["replay"]
    if isinstance(config.source, HttpSource):
        return ["forward" if config.forwards else "intake"]
    return list(config.roles)


def spare_collector() -> None:
    """Reduce the work of Python's garbage collector; call it when everything is loaded, before roles start."""
    gc.freeze()  # otherwise each full collection walks through the models
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])


def run_roles(daemon: Runnable, stop: threading.Event) -> int:
    """Run a daemon's roles until `stop` is set or one of them ends; then stop the others. Does not set `stop`."""
    ended, stopping = threading.Event(), threading.Event()
    threads = [RoleThread(role, stopping, ended) for role in daemon.roles()]
    for thread in threads:
        thread.start()
    while not stop.is_set():
        # An ended role sets `ended`; a signal sets `stop`. The time limit lets Python run the signal handler.
        if ended.wait(0.2):
            break
    stopping.set()
    started = time.monotonic()
    for thread in threads:
        thread.join(max(0.0, started + STOP_S - time.monotonic()))
    failed = [thread for thread in threads if not thread.completed and not thread.is_alive()]
    for thread in threads:
        if thread.is_alive():
            log.warning("did not stop in time; what it was doing is not committed", role=thread.role.name)
    for thread in threads:
        if thread.completed and not stop.is_set():
            daemon.monitor.health.role_done(thread.role.name)
    daemon.close()
    log.info("stopped", seconds=round(time.monotonic() - started, 2))
    for thread in failed:
        if thread.error is not None:
            daemon.monitor.health.role_died(thread.role.name, thread.error)
            raise thread.error
    return 1 if failed else 0


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()

    def ask(number: int, _: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        stop.set()

    before = {number: signal.signal(number, ask) for number in STOPS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Interrupted(BaseException):
    """A stop was signalled while there was nothing to finish."""


@contextmanager
def interruptible(stop: threading.Event) -> Iterator[None]:
    """Abort the body of the context when a signal to stop comes, or has come.

    Args:
        stop: from `stop_on_signals`.

    Raises:
        Interrupted: there was a signal.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        note = before[signal.Signals(number)]
        if callable(note):
            note(number, frame)
        raise Interrupted

    before = {number: signal.getsignal(number) for number in STOPS}
    for number in STOPS:
        signal.signal(number, interrupt)
    try:
        if stop.is_set():
            raise Interrupted
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def noting_hangups() -> Iterator[threading.Event]:
    """An event that SIGHUP sets, including one blocked since the process began (see `driftwatch.cli.main`)."""
    hangup = threading.Event()
    before = signal.signal(signal.SIGHUP, lambda *_: hangup.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    try:
        yield hangup
    finally:
        signal.signal(signal.SIGHUP, before)


@contextmanager
def serving(config: DaemonConfig, monitor: Monitor, queue: IntakeQueue | None = None) -> Iterator[str]:
    """Serve metrics, health and the status page, and receive samples if the source is HTTP, while the context lasts.

    Args:
        config: says where.
        monitor: to serve.
        queue: for the samples.

    Yields:
        The address of metrics, health and the status page; empty if that server is off.
    """
    source = config.source if isinstance(config.source, HttpSource) else None
    if source is not None:
        sys.setswitchinterval(SWITCH_S)
    intake = (
        Intake(source, queue, monitor.observe, tracer=monitor.tracer)
        if source is not None and queue is not None
        else None
    )
    url = ""
    with ExitStack() as running:
        if config.server.enabled:
            shared = intake if source is not None and source.port is None else None
            server = HttpServer(
                config.server.host, config.server.port, monitor.metrics, monitor.health, monitor.status, shared
            )
            server.start()
            running.callback(server.stop)
            url = server.url
            log.info("serving", url=url)
        if intake is not None and source is not None and source.port is not None:
            listener = Listener(source.host or "127.0.0.1", source.port, intake, name="source", tls=source.tls)
            listener.start()
            running.callback(listener.stop)
            log.info("receiving samples", address=listener.url)
        yield url


def intake_queue(source: HttpSource) -> IntakeQueue:
    """The queue for samples received over HTTP."""
    return IntakeQueue(source.queue.messages, source.queue.bytes)
