"""The daemon that watches streams: builds its roles from a configuration and runs them."""

from __future__ import annotations

import math
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import structlog
import torch

from driftwatch import __version__
from driftwatch.alerts.sinks import sink_names
from driftwatch.config import DaemonConfig, HttpSource, KafkaSource, ReplaySource
from driftwatch.config.durations import duration_ms
from driftwatch.delivering import Delivering, outlets_of
from driftwatch.errors import ConfigError
from driftwatch.event_log import EventLog
from driftwatch.freed_memory import keep_freed_memory
from driftwatch.kernels.cpu.compiled import lack_of_kernels
from driftwatch.logs import configure_logging
from driftwatch.plan import Plan, Plans, make_plan
from driftwatch.reference.device import choose_device
from driftwatch.reference.loading import load_reference
from driftwatch.reference.precision import set_scoring_precision
from driftwatch.reference.reference import Reference
from driftwatch.reloading import Reloading, ReloadRequests
from driftwatch.running import (
    Interrupted,
    Monitor,
    Role,
    build_monitor,
    intake_queue,
    interruptible,
    noting_hangups,
    run_roles,
    serving,
    spare_collector,
    stop_on_signals,
)
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.events import Calibrated, ReferenceInUse, StreamsConfigured
from driftwatch.stream.intake_queue import IntakeQueue
from driftwatch.stream.intake_role import IntakeRole
from driftwatch.stream.quiet_watch import QuietWatch
from driftwatch.stream.registry import open_registry
from driftwatch.stream.replay import ReplayRole
from driftwatch.stream.score_role import ScoreRole
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.stream.shedding import Shedder
from driftwatch.stream.standards import example_rule
from driftwatch.stream.state_file import name_for
from driftwatch.stream.test_role import TestRole
from driftwatch.stream.topics import Topics

log = structlog.get_logger("driftwatch")


class Daemon:
    """A configured daemon.

    Args:
        config: what to watch.
        references: by their path in the configuration.
        monitor: receives every event.
        queue: of samples received over HTTP.
        reload_requests: how a person requests a reload.
    """

    def __init__(
        self,
        config: DaemonConfig,
        references: Mapping[str, Reference],
        monitor: Monitor,
        queue: IntakeQueue | None = None,
        reload_requests: ReloadRequests | None = None,
    ) -> None:
        self._queue = queue
        self.monitor = monitor
        self._plans = Plans(make_plan(config, {s.name: references[str(s.reference)] for s in config.streams}))
        self._delivering = Delivering(outlets_of(config, self._plans.streams, monitor))
        device = choose_device(config.device)
        self._reloading = Reloading(
            self._plans, device, reload_requests or ReloadRequests(), self._prepare, monitor.observe
        )
        registry = config.source.schema_registry if isinstance(config.source, KafkaSource) else None
        self._registry = open_registry(registry) if registry and "score" in config.roles else None

    @property
    def config(self) -> DaemonConfig:
        """The configuration in force."""
        return self._plans.now.config

    def prepare(self) -> None:
        """Calibrate thresholds, which takes seconds for each reference, and announce sinks and streams."""
        self._plans.now.calibrate()
        self._announce(None, self._plans.now)

    def _prepare(self, before: Plan, plan: Plan) -> Callable[[], None]:
        """Prepare what a plan needs in addition to its references; the returned function puts that in force.

        Raises:
            ConfigError: a sink cannot be made.
        """
        outlets = outlets_of(plan.config, self._plans.streams, self.monitor)

        def apply() -> None:
            self._announce(before, plan)
            self._delivering.replace(outlets)

        return apply

    def _announce(self, before: Plan | None, plan: Plan) -> None:
        """Report what streams are compared with, where that is new."""
        now_ms = int(time.time() * 1000)
        self.monitor.metrics.expect_sinks(sink_names(plan.config))
        self.monitor.metrics.configured(plan.config.replicated)
        self.monitor.observe(StreamsConfigured(tuple(plan.references)))
        for stream, reference in plan.references.items():
            known = before.references.get(stream) if before is not None and before.standards is plan.standards else None
            if known is not None and known.version == reference.version:
                continue
            self.monitor.observe(ReferenceInUse(stream, reference.name, reference.version, reference.scores, now_ms))
            bound = log.bind(stream=stream)
            version = f"{reference.name}/{reference.version}"
            if not plan.config.tests:
                bound.info("scoring", reference=version)
                continue
            procedure = plan.standards.standard(reference).procedure
            control, grid = procedure.control, procedure.grid
            self.monitor.observe(Calibrated(stream, control.budget, control.interval, procedure.satisfiable))
            threshold = float(f"{control.threshold:.3g}")
            bound.info("watching", reference=version, alarm_at_p=threshold, budget_samples=control.budget)
            if grid is not None:
                bound.info("windows by time", least_samples=grid.least, most_samples=grid.most)
            for remark in procedure.remarks:
                bound.info("calibration", remark=remark)

    def roles(self) -> Sequence[Role]:
        """The roles to run."""
        source = self.config.source
        if isinstance(source, KafkaSource):
            stages = self._kafka_roles(source)
        elif isinstance(source, ReplaySource):
            stages = [self._replay_role(source, self._delivering.submit)]
        else:
            stages = [self._intake_role(source, self._delivering.submit)]
        return [*stages, self._delivering, self._reloading]

    def close(self) -> None:
        """Release connections."""
        if self._registry:
            self._registry.close()

    def _kafka_roles(self, source: KafkaSource) -> Sequence[Role]:
        topic = self.config.alerts_topic
        instance = source.instance or f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}"
        observe, tracer = self.monitor.observe, self.monitor.tracer
        roles: list[Role] = []
        prepare = Topics(source, topic, own_group=self.config.has_both_roles).ensure
        if "score" in self.config.roles:
            identity = f"{source.group}.score.{instance}"
            roles.append(
                ScoreRole(
                    source,
                    self._stage,
                    self._watch,
                    identity=identity,
                    prepare=prepare,
                    observer=observe,
                    tracer=tracer,
                )
            )
        if "test" in self.config.roles:
            identity = f"{source.group}.test.{instance}"
            roles.append(
                TestRole(
                    source,
                    self._plans.find,
                    want=self._reloading.want,
                    patience_s=lambda: self.config.references.patience_s,
                    alerts_topic=topic,
                    identity=identity,
                    prepare=prepare,
                    observer=observe,
                    tracer=tracer,
                )
            )
        return roles

    def _replay_role(self, source: ReplaySource, submit: Callable[[Announcement], None]) -> Role:
        folder = self.config.state_dir
        return ReplayRole(
            source,
            self._plans.now.references[source.stream].schema,
            self._stage(),
            self._plans.find,
            on_alert=submit,
            observer=self.monitor.observe,
            snapshot=folder / f"{name_for(source.stream)}.replay.json" if folder else None,
            tracer=self.monitor.tracer,
        )

    def _intake_role(self, source: HttpSource, submit: Callable[[Announcement], None]) -> Role:
        return IntakeRole(
            source,
            self._queue or intake_queue(source),
            self._stage(),
            self._plans.find,
            streams=self._plans.streams,
            on_alert=submit,
            observer=self.monitor.observe,
            state_dir=self.config.state_dir,
            watch=self._watch(),
            tracer=self.monitor.tracer,
        )

    def _watch(self) -> QuietWatch:
        return QuietWatch(self._plans.quiet_rules)

    def _stage(self) -> ScoreStage:
        if self._registry:
            self._registry.wait_over()
        source = self.config.source
        limit = source.max_message_bytes if isinstance(source, KafkaSource) else math.inf
        examples = example_rule(self.config.alerts)
        shedding = source.shedding if isinstance(source, KafkaSource) else None
        return ScoreStage(
            self._plans.routes(),
            self.config.windows.step,
            tick_ms=self.config.windows.tick_ms,
            examples=examples,
            max_message_bytes=limit,
            tracer=self.monitor.tracer,
            registry=self._registry,
            renew=self._plans.routes,
            shedder=Shedder(duration_ms(shedding.max_lag) / 1000) if shedding else None,
            committed=isinstance(source, KafkaSource),
        )


def load_references(config: DaemonConfig) -> dict[str, Reference]:
    """Load every reference that a configuration names, by path.

    Raises:
        ConfigError: a bundle does not exist.
        BundleError: a bundle is damaged.
        UsageError: the device does not exist.
    """
    device = choose_device(config.device)
    set_scoring_precision(config.precision)
    for stream in config.streams:
        path = stream.reference
        if isinstance(path, Path) and not path.exists():
            available = sorted(each.name for each in path.parent.iterdir()) if path.parent.is_dir() else []
            raise ConfigError(
                f"no such bundle: {path}",
                where=f"streams: {stream.name}: reference",
                remedy=f"write one by driftwatch train; {path.parent} has {', '.join(available[:8]) or 'none'}",
            )
    return {str(place): load_reference(place, device) for place in {stream.reference for stream in config.streams}}


def run_daemon(config: DaemonConfig, reread: Callable[[], DaemonConfig] | None = None) -> int:
    """Run until SIGTERM or SIGINT, until a replay is finished, or until a role fails.

    Args:
        config: what to watch.
        reread: reads the configuration again, on SIGHUP; None if it cannot have changed.

    Returns:
        The exit code: 0 after a clean stop, 1 if a role failed.

    Raises:
        DriftwatchError: the daemon cannot start, or a role ended with this error.
    """
    configure_logging(config.log.level, config.log.format)
    keep_freed_memory()
    log.info("starting", version=__version__, source=config.source.kind)
    monitor = build_monitor(config, EventLog())
    queue = intake_queue(config.source) if isinstance(config.source, HttpSource) else None
    with (
        stop_on_signals() as stop,
        noting_hangups() as hangup,
        closing(monitor.tracer),
        serving(config, monitor, queue),
    ):
        try:
            with interruptible(stop):
                daemon = Daemon(config, load_references(config), monitor, queue, ReloadRequests(hangup, reread))
                if lack := lack_of_kernels(torch.device(choose_device(config.device))):
                    log.warning("scoring is slower than necessary", because=lack.what, remedy=lack.remedy)
                # Interruptible, since many references take minutes, and a service manager kills after half a minute.
                daemon.prepare()
        except Interrupted:
            log.info("stopped before it began")
            if queue is not None:
                queue.close()
                if left := queue.depth().messages:
                    log.warning("stopped with requests that are not scored", messages=left)
            return 0
        spare_collector()
        return run_roles(daemon, stop)
