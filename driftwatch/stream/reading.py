"""From a message to its samples: which stream it belongs to, whether it is processed, and which samples are watched."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.codecs import decode, stream_names
from driftwatch.data.schema import Coerced
from driftwatch.data.schema_registry import SchemaRegistry
from driftwatch.data.structured_events import StructuredEvent
from driftwatch.errors import MessageError
from driftwatch.reference.scoring import Scorer
from driftwatch.stream.events import UNKNOWN, BatchOutcome
from driftwatch.stream.log import Record
from driftwatch.stream.sampling import Share, in_share, watched

NAMED = 8
"""How many configured streams a dead letter lists."""


@dataclass(frozen=True)
class Route:
    """How one stream's messages are handled.

    Args:
        stream: its name.
        scorer: for its reference.
        format: of its messages.
        sample_fraction: fraction of its samples to watch.
    """

    stream: str
    scorer: Scorer
    format: str = "auto"
    sample_fraction: float = 1.0


@dataclass(frozen=True)
class Reading:
    """What came of a message.

    Args:
        stream: that it belongs to; `UNKNOWN` if that is why it cannot be used.
        outcome: what became of it.
        samples: those watched, ``(N, *sample_shape)``.
        indices: theirs in the message, ascending, ``(N,)``.
        error: why it cannot be used; None if it can.
    """

    stream: str
    outcome: BatchOutcome
    samples: Coerced = field(default_factory=lambda: np.empty(0))
    indices: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    error: MessageError | None = None


class MessageReader:
    """Reads the samples of messages.

    Args:
        max_message_bytes: longer messages are rejected.
        registry: resolves the schemas that messages name.
    """

    def __init__(self, max_message_bytes: float = math.inf, registry: SchemaRegistry | None = None) -> None:
        self._max_message_bytes, self._registry = max_message_bytes, registry

    def read(self, record: Record, event: StructuredEvent | None, routes: Mapping[str, Route], share: Share) -> Reading:
        """Read a message.

        Args:
            record: the message.
            event: that it holds, if its sender declares one.
            routes: by stream.
            share: of the partition's messages that is processed.

        Raises:
            RegistryError: the message's schema cannot be fetched.
        """
        stream = UNKNOWN
        if record.tombstone:
            return Reading(stream, "tombstone")
        try:
            route = self._route(record, event, routes)
            stream = route.stream
            if not in_share(record, share):
                return Reading(stream, "shed")
            schema = route.scorer.reference.schema
            samples = decode(record.value, record.header, schema, route.format, self._registry, event)
        except MessageError as error:
            return Reading(stream, "dead_letter", error=error)
        indices = watched(record, len(samples), route.sample_fraction)
        chosen = samples if len(indices) == len(samples) else samples[indices]
        return Reading(stream, "ok" if len(indices) else "skipped", chosen, indices)

    def _route(self, record: Record, event: StructuredEvent | None, routes: Mapping[str, Route]) -> Route:
        if record.refused is not None:
            raise record.refused
        if record.size > self._max_message_bytes:
            raise MessageError(
                f"has {record.size} bytes", reason="too_large", remedy=f"at most {self._max_message_bytes}"
            )
        names = stream_names(record.header, record.key, record.topic, event)
        for name in names:
            if name in routes:
                return routes[name]
        configured = sorted(routes)
        more = f" or {len(configured) - NAMED} more" if configured[NAMED:] else ""
        raise MessageError(
            f"belongs to no configured stream: {', '.join(map(repr, names))}"[:300],
            reason="unknown_stream",
            remedy=f"set the header driftwatch-stream to a configured one: {', '.join(configured[:NAMED])}{more}",
        )
