"""Where streams without a log stand, as a file: what a restart goes on from."""

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
from driftwatch.stream.positions import Position, parse_position
from driftwatch.stream.state_file import write_whole

FORMAT = 1

EVERY_S = 5.0
MOST_OF_THE_TIME = 0.05
"""That keeping the state may take, as nothing is scored meanwhile: with a thousand streams once takes half a second."""


@dataclass(frozen=True)
class Snapshot:
    """Where a stream without a log stands.

    Args:
        position: in its messages.
        started_ms: event time of the first message.
        next_pane: number of the next entry of what would be the panes log.
        states: of policy and silences, by their keys.
        panes: that windows still need, encoded, oldest first.
        alerts: the last ones, oldest first.
        by_time: what windows by time hold, by stream.
        replayed: what its messages are made of, in words; nothing where they come by themselves.
    """

    position: Position
    started_ms: int
    next_pane: int
    states: dict[str, dict[str, Any]]
    panes: tuple[bytes, ...]
    alerts: tuple[Announcement, ...] = ()
    by_time: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    replayed: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Writes it so that the file is whole at any instant."""
        write_whole(path, self._json())

    def _json(self) -> Iterator[bytes]:
        """Piece by piece: of many streams all panes take hundreds of megabytes."""
        told = {
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
        yield orjson.dumps(told)[:-1] + b',"panes":['
        for number, pane in enumerate(self.panes):
            yield b'%b"%b"' % (b"," if number else b"", base64.b64encode(pane))
        yield b"]}"


def load_snapshot(path: Path) -> Snapshot | None:
    """The snapshot in a file, or None where there is none.

    Raises:
        SourceError: the file is damaged, cannot be read, or is a newer driftwatch's.
    """
    try:
        stored = orjson.loads(path.read_bytes())
        require_format(stored.get("format", 1), FORMAT, what="the state", where=str(path))
        return Snapshot(
            parse_position(int(stored["offset"]), stored["metadata"]),
            int(stored["started_ms"]),
            int(stored["next_pane"]),
            dict(stored["states"]),
            tuple(base64.b64decode(pane) for pane in stored["panes"]),
            tuple(announcement.decode(alert.encode()) for alert in stored.get("alerts", ())),
            dict(stored.get("by_time", {})),
            tuple(map(str, stored.get("replayed", ()))),
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", where=str(path), remedy="see to state_dir") from None
    except (ValueError, KeyError, TypeError, AttributeError, MessageError) as error:
        raise SourceError(
            f"holds no state of a stream: {error}", where=str(path), remedy="delete it to start anew"
        ) from None


@dataclass(frozen=True)
class Rhythm:
    """When a state is to be kept: now and then, at once where it is urgent, and never for too much of the time.

    Args:
        kept_s: when it was kept last, on a monotonic clock.
        took_s: how long that took.
    """

    kept_s: float
    took_s: float = 0.0

    def due(self, now_s: float, *, urgent: bool) -> bool:
        """Whether it is."""
        return now_s - self.kept_s > max(0.0 if urgent else EVERY_S, self.took_s / MOST_OF_THE_TIME)
