"""Events: the only way in which metrics, health and logs learn what the stages do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from driftwatch.stream.announcement import Announcement
from driftwatch.stream.results import WindowResult

UNKNOWN = "unknown"
"""Stands for the stream of a message that belongs to no configured stream."""

LossReason = Literal["authorization", "topic", "gone", "registry", "unreachable"]
"""Why a source is lost: access denied; topic missing or recreated; messages gone; schema registry; anything else."""

BatchOutcome = Literal["ok", "dead_letter", "skipped", "shed", "tombstone"]

Outcome = Literal["accepted", "ignored", "shed", "refused", "unauthorized", "too_large"]
"""The result of a request to the intake."""


@dataclass(frozen=True)
class BatchSeen:
    """A message was read: used, sent to the dead letters, skipped by sampling, shed under overload, or a tombstone."""

    stream: str
    outcome: BatchOutcome
    samples: int


@dataclass(frozen=True)
class SamplesScored:
    """Point scores ``(n,)`` in nats of a stream's samples in one unit of work, and event time of the newest."""

    stream: str
    scores: NDArray[np.float64]
    last_timestamp_ms: int

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.scores)


@dataclass(frozen=True)
class DeadLettered:
    """A message could not be used: the reason in a word, and in detail with the message's place."""

    stream: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class WindowTested:
    """A window was tested, with this result."""

    result: WindowResult

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.result.stream


@dataclass(frozen=True)
class NotTested:
    """Samples came too late for a window by time, or the named windows by time were due with too few samples."""

    stream: str
    late: int
    windows: tuple[str, ...]


@dataclass(frozen=True)
class BetsMade:
    """Log of the anytime alarm's wealth after a pane, and log of the wealth that triggers the alarm, nats."""

    stream: str
    log_wealth: float
    limit: float = math.inf


@dataclass(frozen=True)
class Calibrated:
    """How far a stream's false-alarm budget can be trusted, in samples between false alarms.

    Args:
        stream: its name.
        budget: as configured.
        interval: 95 % interval of the true figure, low and high.
        satisfiable: whether the reference has enough held-out samples to support the budget.
    """

    stream: str
    budget: float
    interval: tuple[float, float]
    satisfiable: bool


@dataclass(frozen=True)
class StreamState:
    """Whether a stream's alarm is active, its severity, the p-value at which it starts, and since when it is active."""

    stream: str
    firing: bool
    threshold: float
    severity: str | None = None
    since_ms: int | None = None


@dataclass(frozen=True)
class SampleFraction:
    """The fraction of a stream's samples that is watched now; less than configured while load is shed."""

    stream: str
    fraction: float
    shedding: bool


@dataclass(frozen=True)
class StreamPaced:
    """Rate of a stream, by the event times of its newest panes."""

    stream: str
    samples_per_second: float


@dataclass(frozen=True)
class StreamQuiet:
    """Whether a stream is silent: event time of its last message if it is, else None."""

    stream: str
    since_ms: int | None


@dataclass(frozen=True)
class AlertRaised:
    """An alert was committed."""

    alert: Announcement


@dataclass(frozen=True)
class AlertRecalled:
    """An alert from before this daemon started."""

    alert: Announcement


@dataclass(frozen=True)
class StageTimed:
    """Duration of one pass of a stage."""

    stage: Literal["decode", "score", "pane", "test", "commit", "sink"]
    seconds: float


@dataclass(frozen=True)
class MessagesGone:
    """`count` offsets of a partition, starting at `first`, were gone before they were read."""

    topic: str
    partition: int
    first: int
    count: int
    why: Literal["retention", "truncation"]


@dataclass(frozen=True)
class PartitionCrowded:
    """Positions of so many streams in a partition do not fit in an offset's metadata: their panes are closed short."""

    topic: str
    partition: int
    streams: int


@dataclass(frozen=True)
class LagMeasured:
    """Number of messages of a partition that are still to be processed."""

    topic: str
    partition: int
    lag: int


@dataclass(frozen=True)
class PartitionsHeld:
    """The partitions of a topic that are read here."""

    topic: str
    partitions: frozenset[int]


@dataclass(frozen=True)
class StreamsHeld:
    """The streams that are tested here; all others are now reported by another daemon."""

    streams: frozenset[str]


@dataclass(frozen=True)
class StreamsConfigured:
    """The streams that are watched from now on."""

    streams: tuple[str, ...]


@dataclass(frozen=True)
class ReferenceInUse:
    """The bundle that a stream is compared with, and the point scores ``(N,)`` of its held-out samples, nats.

    `since_ms` is the clock time at which it was first used.
    """

    stream: str
    bundle: str
    version: str
    scores: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    since_ms: int | None = None


@dataclass(frozen=True)
class Reloaded:
    """The result of checking for another reference of a stream, or for another configuration, and the details."""

    what: Literal["reference", "configuration"]
    outcome: Literal["taken_up", "refused", "unchanged"]
    stream: str = ""
    detail: str = ""


@dataclass(frozen=True)
class ReferenceAwaited:
    """Whether panes of a stream wait for the reference that scored them, because it is missing here."""

    stream: str
    version: str
    waiting: bool


@dataclass(frozen=True)
class Progress:
    """A role connected to its source, lost it, or has just polled it."""

    kind: Literal["source_connected", "source_lost", "polled"]
    role: str = ""
    detail: str = ""
    reason: LossReason = "unreachable"


@dataclass(frozen=True)
class StateKept:
    """The state was written to its file; if that failed, `trouble` says why."""

    trouble: str = ""


@dataclass(frozen=True)
class RequestAnswered:
    """The outcome of a request to the intake; `detail` says why it was not accepted."""

    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True)
class IntakeQueued:
    """What waits between the answer to a request and its scoring or forwarding."""

    messages: int
    bytes: int


@dataclass(frozen=True)
class SinkDelivered:
    """A sink accepted an alert."""

    sink: str


@dataclass(frozen=True)
class SinkFailed:
    """A sink did not accept an alert, and will not be sent it again.

    For Alertmanager, which is sent firing alerts repeatedly: they could not be sent this time, or could not be saved
    for after a restart.
    """

    sink: str
    error: str


Event = (
    BatchSeen
    | SamplesScored
    | DeadLettered
    | WindowTested
    | NotTested
    | BetsMade
    | Calibrated
    | StreamState
    | SampleFraction
    | StreamPaced
    | StreamQuiet
    | AlertRaised
    | AlertRecalled
    | StageTimed
    | MessagesGone
    | PartitionCrowded
    | LagMeasured
    | PartitionsHeld
    | StreamsHeld
    | StreamsConfigured
    | ReferenceInUse
    | ReferenceAwaited
    | Reloaded
    | Progress
    | StateKept
    | RequestAnswered
    | IntakeQueued
    | SinkDelivered
    | SinkFailed
)
Observer = Callable[[Event], None]


def fan_out(*observers: Observer) -> Observer:
    """An observer that passes each event to several others, in order."""

    def notify(event: Event) -> None:
        for observer in observers:
            observer(event)

    return notify
