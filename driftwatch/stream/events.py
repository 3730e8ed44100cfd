"""What every stage tells: the only way in which metrics, health and logs hear of anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from driftwatch.stream.announcement import Announcement
from driftwatch.stream.results import Excess

UNKNOWN = "unknown"
"""The stream of what belongs to none that is configured."""

LossReason = Literal["authorization", "topic", "gone", "registry", "unreachable"]
"""Why a source is lost: not allowed, a topic that is not there (or made anew), messages gone, schemas, all else."""

BatchOutcome = Literal["ok", "dead_letter", "skipped", "shed"]

Outcome = Literal["accepted", "ignored", "shed", "refused", "unauthorized", "too_large"]
"""Of a request to the intake."""


@dataclass(frozen=True)
class BatchSeen:
    """A message was taken in: used, sent to the dead letters, left out by sampling, or passed over as too much came."""

    stream: str
    outcome: BatchOutcome
    samples: int


@dataclass(frozen=True)
class SamplesScored:
    """Point scores ``(n,)`` in nats of a stream's samples, of a unit of work; event time of the newest."""

    stream: str
    scores: NDArray[np.float64]
    last_timestamp_ms: int

    @property
    def samples(self) -> int:
        """How many samples."""
        return len(self.scores)


@dataclass(frozen=True)
class DeadLettered:
    """A message could not be used: why in a word, and in full with its place."""

    stream: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class WindowTested:
    """A window's result: `statistics` and `p_values` by detector, `parts` by detector and part.

    `blocks` are the parts of the divergence again, by latent block and part, in nats per sample, and `excess` what they
    have beyond chance; `groups` tells by how many standard deviations of chance each group of descriptors is off.
    """

    stream: str
    window: int | str
    statistics: Mapping[str, float]
    p_values: Mapping[str, float]
    parts: Mapping[str, Mapping[str, float]]
    effect_nats: float
    end_ms: int
    drift: bool
    blocks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    excess: Mapping[str, Mapping[str, Excess]] = field(default_factory=dict)
    groups: Mapping[str, float] = field(default_factory=dict)
    explanation: str = ""


@dataclass(frozen=True)
class NotTested:
    """Samples came too late for a window by time, or such windows, named, were due with too few samples."""

    stream: str
    late: int
    windows: tuple[str, ...]


@dataclass(frozen=True)
class BetsMade:
    """The logarithm of the anytime alarm's wealth after a pane, and of the wealth that sets it off, nats."""

    stream: str
    log_wealth: float
    limit: float = math.inf


@dataclass(frozen=True)
class Calibrated:
    """What a stream's false-alarm budget rests on, in samples between false alarms.

    Args:
        stream: its name.
        budget: as asked.
        interval: that holds the true figure (95 %), low and high.
        satisfiable: whether the reference's held-out samples are enough to vouch for the budget.
    """

    stream: str
    budget: float
    interval: tuple[float, float]
    satisfiable: bool


@dataclass(frozen=True)
class StreamState:
    """Whether a stream's alarm is on, how severe it is, the p-value at which it starts, and since when it is on."""

    stream: str
    firing: bool
    threshold: float
    severity: str | None = None
    since_ms: int | None = None


@dataclass(frozen=True)
class SampleFraction:
    """Such a fraction of a stream's samples is watched by now: less than is configured while too much comes."""

    stream: str
    fraction: float
    shedding: bool


@dataclass(frozen=True)
class StreamPaced:
    """So many samples of a stream come per second, by the event times of its newest panes."""

    stream: str
    samples_per_second: float


@dataclass(frozen=True)
class StreamQuiet:
    """Whether nothing comes from a stream any more: event time of its last message if so, else None."""

    stream: str
    since_ms: int | None


@dataclass(frozen=True)
class AlertRaised:
    """An alert was written."""

    alert: Announcement


@dataclass(frozen=True)
class AlertRecalled:
    """An alert was written before this daemon started."""

    alert: Announcement


@dataclass(frozen=True)
class StageTimed:
    """One pass of a stage took so long."""

    stage: Literal["decode", "score", "pane", "test", "commit", "sink"]
    seconds: float


@dataclass(frozen=True)
class MessagesGone:
    """So many offsets of a partition, from the first on, were gone before they were read."""

    topic: str
    partition: int
    first: int
    count: int
    why: Literal["retention", "truncation"]


@dataclass(frozen=True)
class PartitionCrowded:
    """The positions of so many streams in a partition do not fit beside an offset: their panes are closed short."""

    topic: str
    partition: int
    streams: int


@dataclass(frozen=True)
class LagMeasured:
    """So many messages of a partition are still to be worked on."""

    topic: str
    partition: int
    lag: int


@dataclass(frozen=True)
class PartitionsHeld:
    """These partitions of a topic, and no others, are read here."""

    topic: str
    partitions: frozenset[int]


@dataclass(frozen=True)
class StreamsHeld:
    """These streams, and no others, are tested here; what was said of others is for another daemon to say now."""

    streams: frozenset[str]


@dataclass(frozen=True)
class StreamsConfigured:
    """These streams, and no others, are watched from now on."""

    streams: tuple[str, ...]


@dataclass(frozen=True)
class ReferenceInUse:
    """A stream is compared with this bundle, whose held-out samples have these point scores ``(N,)``, nats.

    `since_ms` is when that began, by the clock.
    """

    stream: str
    bundle: str
    version: str
    scores: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    since_ms: int | None = None


@dataclass(frozen=True)
class Reloaded:
    """It was looked for another reference of a stream, or for another configuration: what came of it, and why."""

    what: Literal["reference", "configuration"]
    outcome: Literal["taken_up", "refused", "unchanged"]
    stream: str = ""
    detail: str = ""


@dataclass(frozen=True)
class ReferenceAwaited:
    """Panes of a stream wait for the reference that scored them, which is not here; or wait no more."""

    stream: str
    version: str
    waiting: bool


@dataclass(frozen=True)
class Progress:
    """A role is connected to its source, has lost it for some reason, or has just asked it for more."""

    kind: Literal["source_connected", "source_lost", "polled"]
    role: str = ""
    detail: str = ""
    reason: LossReason = "unreachable"


@dataclass(frozen=True)
class StateKept:
    """The state was written to its file; or could not be: why, empty if it was."""

    trouble: str = ""


@dataclass(frozen=True)
class RequestAnswered:
    """A request to the intake was answered so; why, where it was not accepted."""

    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True)
class IntakeQueued:
    """So much waits between the answer to a request and its scoring, or its way to Kafka."""

    messages: int
    bytes: int


@dataclass(frozen=True)
class SinkDelivered:
    """An alert reached a sink."""

    sink: str


@dataclass(frozen=True)
class SinkFailed:
    """An alert did not reach a sink and is not tried again.

    Or Alertmanager, which is, was not told what fires; or what fires could not be kept for it over a restart.
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
    """One observer that tells several, in order."""

    def tell(event: Event) -> None:
        for observer in observers:
            observer(event)

    return tell
