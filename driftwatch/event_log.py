"""Which of the stages' events are logged: changes and rare events, never every sample."""

from __future__ import annotations

import threading
from collections import Counter

import structlog

from driftwatch.stream.events import (
    DeadLettered,
    Event,
    MessagesGone,
    PartitionCrowded,
    Progress,
    RequestAnswered,
    StateKept,
)

log = structlog.get_logger("driftwatch")


class EventLog:
    """An observer that logs connections, failures to save state, and rejected messages: the 1st, 2nd, 4th, ...

    Alerts are left to the sinks, of which the log is one.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._lock = threading.Lock()
        self._state_trouble = ""

    def __call__(self, event: Event) -> None:
        """Log an event, if it is worth a line."""
        match event:
            case DeadLettered(stream=stream, reason=reason, detail=detail):
                if count := self._count(stream, reason):
                    log.warning(
                        "message sent to the dead letters", stream=stream, reason=reason, count=count, detail=detail
                    )
            case RequestAnswered(outcome="shed" | "refused" | "unauthorized" | "too_large" as outcome, detail=detail):
                if count := self._count("intake", outcome):
                    log.warning("request rejected", outcome=outcome, count=count, detail=detail)
            case MessagesGone():
                log.error("messages were lost before they were read", **vars(event))
            case PartitionCrowded():
                log.warning(
                    "too many streams share a partition: short panes raise more false alarms than configured",
                    **vars(event),
                    remedy="add partitions, or send messages of more samples (docs/scale.md)",
                )
            case Progress(kind="source_connected", role=role):
                log.info("connected", role=role)
            case StateKept(trouble=trouble) if trouble != self._state_trouble:
                self._state_trouble = trouble
                if trouble:
                    log.error("state not kept; trying again", error=trouble)
                else:
                    log.info("state is kept again")

    def _count(self, *kind: str) -> int:
        """Number of events of a kind so far if it is a power of two, else 0."""
        with self._lock:
            self._counts[kind] += 1
            count = self._counts[kind]
        return count if count & (count - 1) == 0 else 0
