"""What of the stages' events goes into the log: changes, and what is rare; never every sample."""

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
    """An observer that logs connections, state that is not kept, and what was not taken in: the 1st, 2nd, 4th, ...

    Alerts are for the sinks, of which the log is one.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._lock = threading.Lock()
        self._unkept = ""

    def __call__(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case DeadLettered(stream=stream, reason=reason, detail=detail):
                if count := self._tell(stream, reason):
                    log.warning(
                        "message sent to the dead letters", stream=stream, reason=reason, count=count, detail=detail
                    )
            case RequestAnswered(outcome="shed" | "refused" | "unauthorized" | "too_large" as outcome, detail=detail):
                if count := self._tell("intake", outcome):
                    log.warning("request rejected", outcome=outcome, count=count, detail=detail)
            case MessagesGone():
                log.error("messages were lost before they were read", **vars(event))
            case PartitionCrowded():
                log.warning(
                    "too many streams share a partition: panes are closed short, with more false alarms than asked for",
                    **vars(event),
                    remedy="more partitions, or messages of more samples (docs/scale.md)",
                )
            case Progress(kind="source_connected", role=role):
                log.info("connected", role=role)
            case StateKept(trouble=trouble) if trouble != self._unkept:
                self._unkept = trouble
                if trouble:
                    log.error("state not kept; trying again", error=trouble)
                else:
                    log.info("state is kept again")

    def _tell(self, *kind: str) -> int:
        """How many of a kind there were by now; 0 if that is not to be told again yet."""
        with self._lock:
            self._counts[kind] += 1
            count = self._counts[kind]
        return count if count & (count - 1) == 0 else 0
