"""Sightings: entries of the panes log that say that a stream's message was read, or that none has come for too long.

Panes cannot show that a stream is silent: samples may wait in an open pane, and the daemon may have been down or lag.
Only a reader at the end of a partition knows. It checks the clock and writes a sighting, so that every reader of the
log finds the same silence.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import orjson

from driftwatch.errors import MessageError
from driftwatch.stream.formats import require_format
from driftwatch.stream.log import Partition

_BEGINNING = b'{"sighting":'
FORMAT = 1


@dataclass(frozen=True)
class Hush:
    """No message of a stream has come for too long, up to the end of a partition.

    Args:
        end: of the partition; a message at this offset or later ends the silence.
        partitions: number of partitions of the topic; a stream is silent if it is silent in all of them.
        at_ms: clock time of the finding, milliseconds since the epoch.
        after_ms: how long a stream may be silent.
        severity: of the alert.
    """

    end: int
    partitions: int
    at_ms: int
    after_ms: int
    severity: str


@dataclass(frozen=True)
class Sighting:
    """What is known of a stream in one partition of the input.

    Args:
        stream: its name.
        topic: of the input.
        partition: of the topic.
        offset: of the newest message of the stream; -1 if none was read since the partition was taken over.
        time_ms: its event time, milliseconds since the epoch.
        hush: the silence after it; None if the message was just read.
    """

    stream: str
    topic: str
    partition: int
    offset: int = -1
    time_ms: int = 0
    hush: Hush | None = None

    @property
    def topic_partition(self) -> Partition:
        """The partition."""
        return self.topic, self.partition


def is_sighting(value: bytes) -> bool:
    """Whether a message of the panes log is a sighting rather than a pane."""
    return value.startswith(_BEGINNING)


def encode_sighting(sighting: Sighting) -> bytes:
    """The message for a sighting, a line of JSON."""
    return orjson.dumps({"sighting": FORMAT, **asdict(sighting)})


def decode_sighting(value: bytes) -> Sighting:
    """The inverse of `encode_sighting`.

    Raises:
        MessageError: the bytes are not a sighting.
        NewerFormatError: a newer driftwatch wrote them.
    """
    try:
        fields: dict[str, Any] = orjson.loads(value)
        require_format(fields["sighting"], FORMAT, what="a sighting", where="panes log")
        hush = fields["hush"] and Hush(**fields["hush"])
        return Sighting(
            fields["stream"],
            fields["topic"],
            int(fields["partition"]),
            int(fields["offset"]),
            int(fields["time_ms"]),
            hush,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise MessageError(f"is not a sighting: {error}", reason="malformed") from None
