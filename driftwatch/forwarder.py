"""The forwarder: receives samples over HTTP and writes them to Kafka; it is small, since it loads no reference."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import structlog

from driftwatch import __version__
from driftwatch.config import DaemonConfig, ForwardConfig, HttpSource
from driftwatch.event_log import EventLog
from driftwatch.logs import configure_logging
from driftwatch.running import (
    Monitor,
    Role,
    build_monitor,
    intake_queue,
    noting_hangups,
    run_roles,
    serving,
    stop_on_signals,
)
from driftwatch.stream.forward_role import ForwardRole
from driftwatch.stream.intake_queue import IntakeQueue

log = structlog.get_logger("driftwatch")


class Forwarder:
    """A configured forwarder.

    Args:
        config: of the daemon.
        source: its source.
        target: the topic to write to.
        monitor: receives every event.
        queue: of received samples.
    """

    def __init__(
        self, config: DaemonConfig, source: HttpSource, target: ForwardConfig, monitor: Monitor, queue: IntakeQueue
    ) -> None:
        self.monitor = monitor
        self._role = ForwardRole(
            source, target, queue, observer=monitor.observe, state_dir=config.state_dir, tracer=monitor.tracer
        )

    def roles(self) -> Sequence[Role]:
        """The roles to run."""
        return [self._role]

    def close(self) -> None:
        """Nothing to close."""


def run_forwarder(config: DaemonConfig, source: HttpSource, target: ForwardConfig) -> int:
    """Run until SIGTERM or SIGINT. SIGHUP has no effect: there is nothing to read again.

    Returns:
        The exit code: 0 after a clean stop, 1 if its role failed.

    Raises:
        DriftwatchError: the forwarder cannot start, or its role ended with this error.
    """
    configure_logging(config.log.level, config.log.format)
    log.info("starting", version=__version__, source=source.kind, forward=target.topic)
    monitor, queue = build_monitor(config, EventLog()), intake_queue(source)
    with stop_on_signals() as stop, noting_hangups(), closing(monitor.tracer), serving(config, monitor, queue):
        return run_roles(Forwarder(config, source, target, monitor, queue), stop)
