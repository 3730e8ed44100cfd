"""The daemon: puts the stages together, runs each role in a thread, and stops them all cleanly."""

from __future__ import annotations

import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol

import structlog

from driftwatch import __version__
from driftwatch.alerts.delivery import QueueDelivery, TopicDelivery
from driftwatch.alerts.sinks import Sink, WebhookSink, build_sinks
from driftwatch.config import DaemonConfig, KafkaSource, ReplaySource, WebhookSinkConfig
from driftwatch.errors import ConfigError, DriftwatchError
from driftwatch.event_log import EventLog
from driftwatch.logs import configure_logging
from driftwatch.reference.device import choose_device
from driftwatch.reference.reference import Reference, load_reference
from driftwatch.reference.scoring import Scorer
from driftwatch.serve.health import Health
from driftwatch.serve.http import HttpServer
from driftwatch.serve.metrics import Metrics
from driftwatch.serve.status import Status
from driftwatch.stream.alert import Alert
from driftwatch.stream.events import Calibrated, Observer, ReferenceInUse, fan_out
from driftwatch.stream.examples import ExampleRule
from driftwatch.stream.monitor import TesterFactory
from driftwatch.stream.replay import ReplayRole
from driftwatch.stream.score_role import ScoreRole
from driftwatch.stream.score_stage import Route, ScoreStage
from driftwatch.stream.test_role import TestRole
from driftwatch.stream.topics import ensure_topics
from driftwatch.stream.windows import StreamTester

STALL_S = 120.0
STOP_S = 4.0
QUEUE_ALERTS = 1_000

log = structlog.get_logger("driftwatch")


class Role(Protocol):
    """Something that runs in a thread until it is told to stop."""

    name: str

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set, or all is done."""


class RoleThread(threading.Thread):
    """Runs one role, and keeps the error that ended it, if one did.

    Args:
        role: to run.
        stop: tells it to stop.
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


@dataclass(frozen=True)
class Monitor:
    """All that watches a daemon: metrics, health and status, and the one observer that feeds them."""

    metrics: Metrics
    health: Health
    status: Status
    observe: Observer


def build_monitor(config: DaemonConfig, *more: Observer) -> Monitor:
    """Metrics, health and status of a daemon that is about to start."""
    roles = ["replay"] if isinstance(config.source, ReplaySource) else list(config.roles)
    metrics = Metrics(streams=[stream.name for stream in config.streams], severities=list(config.alerts.severity))
    health, status = Health(roles, STALL_S), Status()
    health.expect([stream.name for stream in config.streams])
    return Monitor(metrics, health, status, fan_out(metrics, health, status, *more))


class Daemon:
    """A configured daemon.

    Args:
        config: what to watch.
        references: by the path in the configuration.
        monitor: told of everything.
    """

    def __init__(self, config: DaemonConfig, references: Mapping[str, Reference], monitor: Monitor) -> None:
        self.config = config
        self.monitor = monitor
        self._references = {stream.name: references[str(stream.reference)] for stream in config.streams}
        self._scorers = {reference.version: Scorer(reference) for reference in references.values()}
        self._factory = tester_factory(config)
        self._sinks = build_sinks(config.sinks)

    def prepare(self) -> None:
        """Calibrates thresholds, which takes seconds for each reference, and announces sinks and streams."""
        self.monitor.metrics.expect_sinks([sink.name for sink in self._sinks])
        for stream, reference in self._references.items():
            procedure = self._factory.procedure(reference)
            control = procedure.control
            self.monitor.observe(ReferenceInUse(stream, reference.name, reference.version))
            self.monitor.observe(Calibrated(stream, control.budget, control.interval, procedure.satisfiable))
            log.info(
                "watching",
                stream=stream,
                reference=f"{reference.name}/{reference.version}",
                alarm_at_p=float(f"{control.threshold:.3g}"),
                budget_samples=control.budget,
            )
            for remark in procedure.remarks:
                log.info("calibration", stream=stream, remark=remark)

    def roles(self) -> Sequence[Role]:
        """What is to run."""
        source = self.config.source
        if isinstance(source, ReplaySource):
            return self._replay_roles(source)
        return self._kafka_roles(source)

    def close(self) -> None:
        """Lets go of the sinks' connections."""
        for sink in self._sinks:
            sink.close()

    def _kafka_roles(self, source: KafkaSource) -> Sequence[Role]:
        topic = self.config.alerts_topic
        instance = source.instance or f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}"
        observe = self.monitor.observe
        made: list[Role] = []
        prepare = _once(lambda: ensure_topics(source, topic))
        if "score" in self.config.roles:
            identity = f"{source.group}.score.{instance}"
            made.append(ScoreRole(source, self._stage, identity=identity, prepare=prepare, observer=observe))
        if "test" in self.config.roles:
            identity = f"{source.group}.test.{instance}"
            made.append(
                TestRole(source, self._tester, alerts_topic=topic, identity=identity, prepare=prepare, observer=observe)
            )
            made += [TopicDelivery(sink, source, topic, observe) for sink in self._sinks]
        return made

    def _replay_roles(self, source: ReplaySource) -> Sequence[Role]:
        deliveries = [QueueDelivery(sink, self._queue_size(sink), self.monitor.observe) for sink in self._sinks]

        def submit(alert: Alert) -> None:
            for delivery in deliveries:
                delivery.submit(alert)

        folder = self.config.state_dir
        replay = ReplayRole(
            source,
            self._references[source.stream].schema,
            self._stage(),
            self._tester,
            on_alert=submit,
            observer=self.monitor.observe,
            snapshot=folder / f"{source.stream}.replay.json" if folder else None,
        )
        return [replay, *deliveries]

    def _queue_size(self, sink: Sink) -> int:
        configs = [each for each in self.config.sinks if isinstance(each, WebhookSinkConfig)]
        return max(each.queue for each in configs) if isinstance(sink, WebhookSink) else QUEUE_ALERTS

    def _stage(self) -> ScoreStage:
        routes = {
            stream.name: Route(
                stream.name,
                self._scorers[self._references[stream.name].version],
                stream.format,
                stream.sample_fraction,
            )
            for stream in self.config.streams
        }
        source = self.config.source
        limit = source.max_message_bytes if isinstance(source, KafkaSource) else 1 << 40
        examples = _example_rule(self.config)
        return ScoreStage(routes, self.config.windows.step, examples=examples, max_message_bytes=limit)

    def _tester(self, stream: str) -> StreamTester | None:
        reference = self._references.get(stream)
        return self._factory(stream, reference) if reference else None


def tester_factory(config: DaemonConfig) -> TesterFactory:
    """Makes the testers that a configuration asks for."""
    return TesterFactory(
        sizes=config.windows.sizes,
        step=config.windows.step,
        budget=config.alerts.budget_samples,
        min_effect=config.alerts.min_effect,
        resolve_after=config.alerts.resolve_after,
        severity=config.alerts.severity,
        examples=_example_rule(config),
        anytime_alpha=config.alerts.anytime_alpha,
    )


def _example_rule(config: DaemonConfig) -> ExampleRule:
    return ExampleRule(config.alerts.examples.count, config.alerts.examples.include_samples)


def load_references(config: DaemonConfig) -> dict[str, Reference]:
    """Every reference that a configuration names, by its path.

    Raises:
        ConfigError: a stream names one that is not there.
        BundleError: one is damaged.
        UsageError: there is no such device.
    """
    device = choose_device(config.device)
    for stream in config.streams:
        path = Path(stream.reference)
        if not path.exists():
            there = sorted(each.name for each in path.parent.iterdir()) if path.parent.is_dir() else []
            raise ConfigError(
                f"no such bundle: {path}",
                where=f"streams: {stream.name}: reference",
                remedy=f"write one by driftwatch train; {path.parent} has {', '.join(there[:8]) or 'none'}",
            )
    return {path: load_reference(path, device) for path in {str(stream.reference) for stream in config.streams}}


def run_daemon(config: DaemonConfig) -> int:
    """Runs until SIGTERM or SIGINT, until a replay has come to its end, or until a role fails.

    Returns:
        The exit code: 0 after a clean stop, 1 if a role failed.

    Raises:
        DriftwatchError: it cannot start, or the error that ended a role.
    """
    configure_logging(config.log.level, config.log.format)
    log.info("starting", version=__version__, source=config.source.kind)
    monitor = build_monitor(config, EventLog())
    with stop_on_signals() as stop, serving(config, monitor):
        daemon = Daemon(config, load_references(config), monitor)
        daemon.prepare()
        return run_roles(daemon, stop)


def run_roles(daemon: Daemon, stop: threading.Event) -> int:
    """Runs a daemon's roles until `stop` is set or one of them ends; then stops the others. `stop` is left as it is."""
    ended, stopping = threading.Event(), threading.Event()
    threads = [RoleThread(role, stopping, ended) for role in daemon.roles()]
    for thread in threads:
        thread.start()
    while not stop.is_set():
        # An ended role sets `ended`; a signal sets `stop`. Waiting with a limit lets the handler run.
        if ended.wait(0.2):
            break
    stopping.set()
    started = time.monotonic()
    for thread in threads:
        thread.join(max(0.0, started + STOP_S - time.monotonic()))
    failed = [thread for thread in threads if not thread.completed and not thread.is_alive()]
    for thread in threads:
        if thread.is_alive():
            log.warning("did not stop in time; what it held is not committed", role=thread.role.name)
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

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def serving(config: DaemonConfig, monitor: Monitor) -> Iterator[str]:
    """Serves metrics, health and the status page meanwhile; gives the address, empty if the server is off."""
    if not config.server.enabled:
        yield ""
        return
    server = HttpServer(config.server.host, config.server.port, monitor.metrics, monitor.health, monitor.status)
    server.start()
    log.info("serving", url=server.url)
    try:
        yield server.url
    finally:
        server.stop()


def _once(prepare: Callable[[], None]) -> Callable[[], None]:
    """Roles start at the same time; one of them makes the topics while the others wait."""
    lock = threading.Lock()

    def prepared() -> None:
        with lock:
            prepare()

    return prepared
