"""Alerts that wait for their sink where no topic keeps them: in a file, so that a restart forgets none."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

import structlog

from driftwatch.errors import MessageError, SinkError
from driftwatch.stream import announcement
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.state_file import write_whole

log = structlog.get_logger("driftwatch.alerts")


class Waiting:
    """A bounded queue of alerts, each of which stays until it is dealt with. Thread-safe.

    Args:
        size: the most that wait.
        saved: file that they are kept in; None to keep them in memory alone.

    Raises:
        SinkError: the file is damaged, or cannot be read.
    """

    def __init__(self, size: int, saved: Path | None) -> None:
        self._size, self._path = size, saved
        self._changed = threading.Condition()
        self._alerts = deque(_load(saved) if saved else ())
        self._unkept = False

    def __len__(self) -> int:
        return len(self._alerts)

    def add(self, alert: Announcement) -> bool:
        """Takes an alert; not if there are too many. One that waits already, as after a restart, is not taken twice."""
        with self._changed:
            if any(each.id == alert.id for each in self._alerts):
                return True
            if len(self._alerts) >= self._size:
                return False
            self._alerts.append(alert)
            self._save()
            self._changed.notify()
        return True

    def first(self, patience_s: float) -> Announcement | None:
        """The one that waits longest; None if none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._alerts, patience_s)
            return self._alerts[0] if self._alerts else None

    def done(self) -> None:
        """The first one is dealt with."""
        with self._changed:
            self._alerts.popleft()
            self._save()

    def _save(self) -> None:
        """Keeps them; if that fails it is told of once, and tried again with the next change: the stream goes on."""
        if self._path is None:
            return
        try:
            write_whole(self._path, b"\n".join(announcement.encode(alert) for alert in self._alerts))
        except OSError as error:
            if not self._unkept:
                log.warning("undelivered alerts are not kept", path=str(self._path), error=error.strerror)
            self._unkept = True
        else:
            self._unkept = False


def _load(path: Path) -> list[Announcement]:
    try:
        return [announcement.decode(line) for line in path.read_bytes().splitlines()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SinkError(f"cannot be read: {error.strerror}", where=str(path), remedy="see to state_dir") from None
    except MessageError as error:
        raise SinkError(
            f"holds no undelivered alerts: {error}", where=str(path), remedy="delete it to start anew"
        ) from None
