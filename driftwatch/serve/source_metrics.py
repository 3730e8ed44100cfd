"""Metrics of where messages come from: Kafka's partitions and roles, and the HTTP intake."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from driftwatch.stream.events import (
    IntakeQueued,
    LagMeasured,
    MessagesGone,
    Outcome,
    PartitionsHeld,
    Progress,
    RequestAnswered,
)

SourceEvent = LagMeasured | MessagesGone | PartitionsHeld | Progress | RequestAnswered | IntakeQueued

EVERY_ROLE = "all"


class SourceMetrics:
    """Metrics of the source.

    Args:
        registry: where to register them.
        roles: that will run.
    """

    def __init__(self, registry: CollectorRegistry, roles: Collection[str]) -> None:
        self._measured: dict[str, set[int]] = {}
        self._lag = Gauge(
            "driftwatch_consumer_lag", "Messages still to be processed.", ["topic", "partition"], registry=registry
        )
        self._gone = Counter(
            "driftwatch_messages_lost_total",
            "Offsets whose messages were gone before they were read.",
            ["topic", "partition"],
            registry=registry,
        )
        self._losses = Counter(
            "driftwatch_source_losses_total",
            "Times that a role has lost its source or could not reach it.",
            ["role", "reason"],
            registry=registry,
        )
        self._connected = Gauge(
            "driftwatch_source_connected",
            "1 while a role is connected to its source, 0 while it is not.",
            ["role"],
            registry=registry,
        )
        # Set at the start, so that a role that never connects, or a daemon that hangs before, is visible.
        for role in roles:
            self._connected.labels(role)
        self._last_poll = Gauge(
            "driftwatch_last_poll_timestamp_seconds",
            "When a role last polled its source.",
            ["role"],
            registry=registry,
        )
        self._requests = Counter(
            "driftwatch_intake_requests_total", "Requests to the intake.", ["outcome"], registry=registry
        )
        self._queue_messages = Gauge(
            "driftwatch_intake_queue_messages", "Messages waiting in the intake's queue.", registry=registry
        )
        self._queue_bytes = Gauge(
            "driftwatch_intake_queue_bytes", "Bytes waiting in the intake's queue.", registry=registry
        )

    def take(self, event: SourceEvent) -> None:
        """Update the metrics from an event."""
        match event:
            case LagMeasured():
                self._lag.labels(event.topic, str(event.partition)).set(event.lag)
                self._measured.setdefault(event.topic, set()).add(event.partition)
            case MessagesGone():
                self._gone.labels(event.topic, str(event.partition)).inc(event.count)
            case PartitionsHeld():
                self._partitions_held(event)
            case Progress():
                self._progress(event)
            case RequestAnswered():
                self._requests.labels(event.outcome).inc()
            case IntakeQueued():
                for outcome in get_args(Outcome):
                    self._requests.labels(outcome)
                self._queue_messages.set(event.messages)
                self._queue_bytes.set(event.bytes)

    def _partitions_held(self, event: PartitionsHeld) -> None:
        """Drop the lag of partitions that another daemon reads now."""
        for partition in event.partitions:
            # Start at zero, so that the first loss is an increase.
            self._gone.labels(event.topic, str(partition))
        measured = self._measured.setdefault(event.topic, set())
        for partition in measured - event.partitions:
            self._lag.remove(event.topic, str(partition))
        measured &= event.partitions

    def _progress(self, event: Progress) -> None:
        role = event.role or EVERY_ROLE
        if event.kind == "polled":
            self._last_poll.labels(role).set_to_current_time()
        else:
            self._connected.labels(role).set(event.kind == "source_connected")
        if event.kind == "source_lost":
            self._losses.labels(role, event.reason).inc()
