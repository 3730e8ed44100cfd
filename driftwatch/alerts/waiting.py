"""Alerts that wait for their sink where no topic keeps them: in a file, so that a restart forgets none.

A line of it is an alert, or says that the first of those before it is dealt with: a backlog is not written again with
each alert that comes.
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
        self._alerts = _load(saved) if saved else deque[Announcement]()
        # The file is written anew with the next change: it may end in the middle of a line.
        self._whole = False
        self._gone = 0
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
            self._save(announcement.encode(alert))
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
            self._gone += 1
            if self._gone > len(self._alerts):
                self._whole = False
            self._save(DONE)

    def _save(self, line: bytes) -> None:
        """Keeps a change; if that fails it is told of once, and all of it tried with the next: the stream goes on."""
        if self._path is None:
            return
        try:
            if self._whole:
                append_whole(self._path, line + b"\n", sync=True)
            else:
                write_whole(self._path, (announcement.encode(alert) + b"\n" for alert in self._alerts))
                self._whole, self._gone = True, 0
        except OSError as error:
            if not self._unkept:
                log.warning("undelivered alerts are not kept", path=str(self._path), error=error.strerror)
            self._unkept, self._whole = True, False
        else:
            self._unkept = False


def _load(path: Path) -> deque[Announcement]:
    alerts = deque[Announcement]()
    try:
        *lines, rest = path.read_bytes().split(b"\n")
        # Without its end a line was cut off with the machine's power, unless an older driftwatch has written it.
        for line in lines if _cut_off(rest) else [*lines, rest]:
            if line == DONE:
                alerts.popleft()
            else:
                alerts.append(announcement.decode(line))
    except FileNotFoundError:
        return alerts
    except OSError as error:
        raise SinkError(f"cannot be read: {error.strerror}", where=str(path), remedy="see to state_dir") from None
    except (MessageError, IndexError) as error:
        raise SinkError(
            f"holds no undelivered alerts: {error}", where=str(path), remedy="delete it to start anew"
        ) from None
    return alerts


def _cut_off(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except ValueError:
        return True
    return False
