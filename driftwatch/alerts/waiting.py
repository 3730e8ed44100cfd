"""Alerts that wait for their sink where no topic keeps them: in a file, so that a restart loses none.

Each line is an alert, or a mark that the first remaining alert is done. So a backlog is not rewritten with each new
alert.
"""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

import orjson
import structlog

from driftwatch.errors import MessageError, SinkError
from driftwatch.stream import announcement
from driftwatch.stream.announcement import Announcement
from driftwatch.stream.state_file import append_whole, write_whole

DONE = b"done"

log = structlog.get_logger("driftwatch.alerts")


class Waiting:
    """A bounded queue of alerts, each of which stays until it is done. Thread-safe.

    Args:
        size: the most alerts that may wait.
        saved: file to keep them in; None to keep them in memory only.

    Raises:
        SinkError: the file is damaged, or cannot be read.
    """

    def __init__(self, size: int, saved: Path | None) -> None:
        self._size, self._path = size, saved
        self._changed = threading.Condition()
        self._alerts = _load(saved) if saved else deque[Announcement]()
        # The first change rewrites the file, which may end in the middle of a line.
        self._appendable = False
        self._done_lines = 0
        self._failing = False

    def __len__(self) -> int:
        return len(self._alerts)

    def add(self, alert: Announcement) -> bool:
        """Add an alert; return False if there is no room. An alert that already waits is not added twice."""
        with self._changed:
            if any(each.id == alert.id for each in self._alerts):
                return True
            if len(self._alerts) >= self._size:
                return False
            self._alerts.append(alert)
            self._save(announcement.encode(alert))
            self._changed.notify()
        return True

    def first(self, patience_s: float) -> Announcement | None:
        """The alert that has waited longest; None if none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._alerts, patience_s)
            return self._alerts[0] if self._alerts else None

    def done(self) -> None:
        """Remove the first alert: it is done."""
        with self._changed:
            self._alerts.popleft()
            self._done_lines += 1
            if self._done_lines > len(self._alerts):
                self._appendable = False
            self._save(DONE)

    def _save(self, line: bytes) -> None:
        """Save a change; a failure is logged once, and the next change rewrites the file: the stream continues."""
        if self._path is None:
            return
        try:
            if self._appendable:
                append_whole(self._path, line + b"\n", sync=True)
            else:
                write_whole(self._path, (announcement.encode(alert) + b"\n" for alert in self._alerts))
                self._appendable, self._done_lines = True, 0
        except OSError as error:
            if not self._failing:
                log.warning("undelivered alerts not saved", path=str(self._path), error=error.strerror)
            self._failing, self._appendable = True, False
        else:
            self._failing = False


def _load(path: Path) -> deque[Announcement]:
    alerts = deque[Announcement]()
    try:
        *lines, rest = path.read_bytes().split(b"\n")
        # A last line without an end was cut off by a power failure, unless an older driftwatch wrote it.
        for line in lines if _cut_off(rest) else [*lines, rest]:
            if line == DONE:
                alerts.popleft()
            else:
                alerts.append(announcement.decode(line))
    except FileNotFoundError:
        return alerts
    except OSError as error:
        raise SinkError(f"cannot be read: {error.strerror}", where=str(path), remedy="check state_dir") from None
    except (MessageError, IndexError) as error:
        raise SinkError(
            f"is not a valid file of undelivered alerts: {error}", where=str(path), remedy="delete it to start afresh"
        ) from None
    return alerts


def _cut_off(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except ValueError:
        return True
    return False
