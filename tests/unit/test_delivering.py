"""Sinks that are replaced while alerts arrive."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from driftwatch.delivering import Delivering, Outlet
from driftwatch.errors import SinkError
from driftwatch.stream.announcement import Announcement
from tests.patience import PATIENCE_S


class Sink:
    """A role that processes what is submitted to it once it is stopped."""

    def __init__(self, name: str, number: int = 1, error: Exception | None = None) -> None:
        self.name, self.number = name, number
        self.waiting: list[str] = []
        self.processed: list[str] = []
        self.began, self.ended = threading.Event(), threading.Event()
        self._error = error

    def submit(self, alert: Announcement) -> None:
        self.waiting.append(cast("str", alert))

    def run(self, stop: threading.Event) -> None:
        self.began.set()
        if self._error:
            raise self._error
        stop.wait(PATIENCE_S)
        self.processed += self.waiting
        self.ended.set()


def outlets(*sinks: Sink) -> dict[str, Outlet]:
    """Outlets of sinks, made from their numbers."""
    return {
        sink.name: Outlet(sink.number, lambda sink=sink: ([sink], [sink]), lambda: None)  # type: ignore[misc]
        for sink in sinks
    }


def test_an_old_sink_processes_its_alerts_before_the_new_one_starts() -> None:
    unchanged, old, new, stop = Sink("stays"), Sink("changes"), Sink("changes", 2), threading.Event()
    delivering = Delivering(outlets(unchanged, old))
    thread = threading.Thread(target=delivering.run, args=[stop])
    thread.start()
    assert old.began.wait(PATIENCE_S)
    alerts = [cast("Announcement", f"alert {i}") for i in range(4)]
    for alert in alerts[:2]:
        delivering.submit(alert)
    delivering.replace(outlets(Sink("stays"), new))
    assert old.ended.wait(PATIENCE_S)
    for alert in alerts[2:]:
        delivering.submit(alert)
    assert new.began.wait(PATIENCE_S)
    stop.set()
    thread.join(PATIENCE_S)
    # Alerts that arrived after the old one had ended are for the new one.
    assert (old.processed, new.processed[-2:], unchanged.processed) == (alerts[:2], alerts[2:], alerts)


def test_an_error_in_one_sink_ends_all() -> None:
    healthy, failing = Sink("fine"), Sink("failing", error=SinkError("is gone"))
    with pytest.raises(SinkError, match="is gone"):
        Delivering(outlets(healthy, failing)).run(threading.Event())
    assert healthy.ended.is_set()


def test_alerts_that_arrive_before_a_sink_runs_or_at_the_end_are_not_lost() -> None:
    sink, stop = Sink("late"), threading.Event()
    delivering = Delivering(outlets(sink))
    alert = cast("Announcement", "alert")
    delivering.submit(alert)
    stop.set()
    delivering.run(stop)
    assert sink.processed == [alert]
