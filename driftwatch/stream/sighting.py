"""What readers of the input say of streams, between the panes of the log: a message came, or none has for so long.

That a stream is silent cannot be seen from its panes: samples may wait for a pane to be full, the daemon may have been
down, or be behind. Only who reads a partition to its end knows, and writes it down; so the clock is looked at there,
and whoever reads the log finds the same silence each time.
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
    """No message of a stream came for so long, up to the end of a partition.

    Args:
        end: offset that the partition ended at; a message from there on is news.
        partitions: that the topic has: a stream is silent if it is in all of them.
        at_ms: when that was found, by the clock, milliseconds since the epoch.
        after_ms: how long is too long.
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
        offset: of the newest message of the stream that was read; -1 if none was since the partition was taken up.
        time_ms: its event time, milliseconds since the epoch.
        hush: that no more came; None if that message has only just been read.
    """

    stream: str
    topic: str
    partition: int
    offset: int = -1
    time_ms: int = 0
    hush: Hush | None = None

    @property
    def place(self) -> Partition:
        """The partition."""
        return self.topic, self.partition


def is_sighting(value: bytes) -> bool:
    """Whether a message of the panes log is a sighting, and no pane."""
    return value.startswith(_BEGINNING)


def encode_sighting(sighting: Sighting) -> bytes:
    """A line of JSON."""
    return orjson.dumps({"sighting": FORMAT, **asdict(sighting)})


def decode_sighting(value: bytes) -> Sighting:
    """The inverse of `encode_sighting`.

    Raises:
        MessageError: it is none.
        NewerFormatError: a newer driftwatch wrote it.
    """
    try:
        told: dict[str, Any] = orjson.loads(value)
        require_format(told["sighting"], FORMAT, what="a sighting", where="panes log")
        hush = told["hush"] and Hush(**told["hush"])
        return Sighting(
            told["stream"], told["topic"], int(told["partition"]), int(told["offset"]), int(told["time_ms"]), hush
        )
    except (ValueError, KeyError, TypeError) as error:
        raise MessageError(f"is no sighting: {error}", reason="malformed") from None
