"""The state of streams without a log, as a file that a restart resumes from."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from driftwatch.errors import MessageError, SourceError
from driftwatch.stream import announcement
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.formats import require_format
from driftwatch.stream.positions import START, Position, parse_position
from driftwatch.stream.state_file import write_whole

FORMAT = 1

EVERY_S = 5.0
MOST_OF_THE_TIME = 0.05
"""Share of the time that saving may take, since nothing is scored meanwhile: a thousand streams take half a second."""


@dataclass(frozen=True)
class Snapshot:
    """The state of a stream without a log.

    Args:
        started_ms: event time of the first message.
        position: in its messages.
        next_pane: number of the next entry of what would be the panes log.
        states: of policies and silences, by key.
        panes: those that windows still need, encoded, oldest first.
        alerts: the last ones, oldest first.
        by_time: panes held by windows by time, by stream.
        replayed: descriptions of the replayed files; empty for messages over HTTP.
    """

    started_ms: int
    position: Position = START
    next_pane: int = 0
    states: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    panes: tuple[bytes, ...] = ()
    alerts: tuple[Announcement, ...] = ()
    by_time: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    replayed: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Write the file atomically."""
        write_whole(path, self._json())

    def _json(self) -> Iterator[bytes]:
        """The file's content in pieces: the panes of many streams take hundreds of megabytes."""
        head = {
            "format": FORMAT,
            "offset": self.position.offset,
            "metadata": self.position.metadata(),
            "started_ms": self.started_ms,
            "next_pane": self.next_pane,
            "states": self.states,
            "alerts": [announcement.encode(alert).decode() for alert in self.alerts],
            "by_time": dict(self.by_time),
            "replayed": self.replayed,
        }
        yield orjson.dumps(head)[:-1] + b',"panes":['
        for number, pane in enumerate(self.panes):
            yield b'%b"%b"' % (b"," if number else b"", base64.b64encode(pane))
        yield b"]}"


def load_snapshot(path: Path) -> Snapshot | None:
    """The snapshot in a file, or None if there is no file.

    Raises:
        SourceError: the file is damaged, cannot be read, or was written by a newer driftwatch.
    """
    try:
        stored = orjson.loads(path.read_bytes())
        require_format(stored.get("format", 1), FORMAT, what="the state", where=str(path))
        return Snapshot(
            started_ms=int(stored["started_ms"]),
            position=parse_position(int(stored["offset"]), stored["metadata"]),
            next_pane=int(stored["next_pane"]),
            states=dict(stored["states"]),
            panes=tuple(base64.b64decode(pane) for pane in stored["panes"]),
            alerts=tuple(announcement.decode(alert.encode()) for alert in stored.get("alerts", ())),
            by_time=dict(stored.get("by_time", {})),
            replayed=tuple(map(str, stored.get("replayed", ()))),
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", where=str(path), remedy="check state_dir") from None
    except (ValueError, KeyError, TypeError, AttributeError, MessageError) as error:
        raise SourceError(
            f"is not a valid state file: {error}", where=str(path), remedy="delete it to start afresh"
        ) from None


@dataclass(frozen=True)
class SaveSchedule:
    """When to save a state: regularly, at once if urgent, and never for too large a share of the time.

    Args:
        saved_s: when it was last saved, by a monotonic clock.
        took_s: how long that took.
    """

    saved_s: float
    took_s: float = 0.0

    def due(self, now_s: float, *, urgent: bool) -> bool:
        """Whether the state must be saved now."""
        return now_s - self.saved_s > max(0.0 if urgent else EVERY_S, self.took_s / MOST_OF_THE_TIME)
