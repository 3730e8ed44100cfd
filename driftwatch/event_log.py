"""What of the stages' events goes into the log: changes, and what is rare; never every sample."""

from __future__ import annotations

import threading
from collections import Counter

import structlog

from driftwatch.stream.events import DeadLettered, Event, Progress

log = structlog.get_logger("driftwatch")


class EventLog:
    """An observer that logs connections, and dead letters: of each kind the 1st, 2nd, 4th, 8th, ...

    Alerts are for the sinks, of which the log is one.
    """

    def __init__(self) -> None:
        self._dead: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case DeadLettered(stream=stream, reason=reason, detail=detail):
                with self._lock:
                    self._dead[stream, reason] += 1
                    count = self._dead[stream, reason]
                if count & (count - 1) == 0:
                    log.warning(
                        "message sent to the dead letters", stream=stream, reason=reason, count=count, detail=detail
                    )
            case Progress(kind="source_connected", role=role):
                log.info("connected", role=role)
