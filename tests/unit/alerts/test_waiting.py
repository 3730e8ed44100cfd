"""Alerts of a daemon without Kafka: none is forgotten over a restart, and none is told twice for being raised twice."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from driftwatch.alerts.delivery import QueueDelivery
from driftwatch.alerts.sample import sample_alert, sample_resolution
from driftwatch.alerts.waiting import Waiting
from driftwatch.alerts.webhook import WebhookSink
from driftwatch.alerts.wording import Links
from driftwatch.config import WebhookSinkConfig
from driftwatch.errors import SinkError
from driftwatch.stream import announcement
from tests.full_disk import full_disk
from tests.receiver import Answer, receiver

FIRING = sample_alert()
RESOLVED = sample_resolution(FIRING)


def stopped_delivery(url: str, saved: Path, *alerts: announcement.Announcement) -> None:
    """A daemon that is stopped: what waits is tried once."""
    sink = WebhookSink(WebhookSinkConfig(kind="webhook", url=url), "webhook", Links("", ""), ["warning"])
    with closing(sink):
        delivery = QueueDelivery(sink, lambda event: None, saved)
        for alert in alerts:
            delivery.submit(alert)
        stop = threading.Event()
        stop.set()
        delivery.run(stop)


def test_what_was_not_delivered_is_delivered_after_a_restart(tmp_path: Path) -> None:
    saved = tmp_path / "webhook.undelivered.jsonl"
    with receiver(Answer(503), Answer(204)) as server:
        stopped_delivery(server.url, saved, FIRING, RESOLVED)
        assert len(server.received) == 1
        # A replay that was killed before its state was kept raises the same alert again.
        stopped_delivery(server.url, saved, FIRING)
        stopped_delivery(server.url, saved)
    bodies = [each.body for each in server.received]
    assert bodies == [announcement.encode(alert) for alert in (FIRING, FIRING, RESOLVED)]


def test_a_full_disk_holds_up_no_alert(tmp_path: Path) -> None:
    waiting = Waiting(2, tmp_path / "alerts")
    waiting.add(FIRING)
    with full_disk(len(announcement.encode(FIRING)) + 100):
        assert waiting.add(RESOLVED)
        assert not waiting.add(sample_alert(at_ms=1)), "there is room for two"
        again = Waiting(2, tmp_path / "alerts")
        assert (len(waiting), len(again)) == (2, 1)
    waiting.done()
    assert Waiting(2, tmp_path / "alerts").first(0.0) == RESOLVED


def test_what_waits_is_the_same_after_a_restart_at_any_point(tmp_path: Path) -> None:
    path, alerts = tmp_path / "alerts", [sample_alert(at_ms=number) for number in range(12)]
    waiting, left = Waiting(100, path), list[announcement.Announcement]()
    for number, alert in enumerate(alerts):
        waiting.add(alert)
        left.append(alert)
        for _ in range(number % 3):
            waiting.done()
            left.pop(0)
        assert _kept(path) == left
    while left:
        waiting.done()
        left.pop(0)
        assert _kept(path) == left
    assert path.read_bytes() == b""


def _kept(path: Path) -> list[announcement.Announcement]:
    again, found = Waiting(100, path.rename(path.with_suffix(".copy"))), list[announcement.Announcement]()
    content = path.with_suffix(".copy").read_bytes()
    while (first := again.first(0.0)) is not None:
        found.append(first)
        again.done()
    path.write_bytes(content)
    return found


def test_a_backlog_is_not_written_again_with_each_alert(tmp_path: Path) -> None:
    path = tmp_path / "alerts"
    waiting = Waiting(100, path)
    waiting.add(sample_alert(at_ms=0))
    begun = path.stat().st_ino
    for number in range(1, 20):
        waiting.add(sample_alert(at_ms=number))
    assert path.stat().st_ino == begun


@pytest.mark.parametrize("cut", [1, 40])
def test_a_line_that_was_cut_off_with_the_power_is_left_out(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "alerts"
    waiting = Waiting(100, path)
    waiting.add(FIRING)
    waiting.add(RESOLVED)
    path.write_bytes(path.read_bytes()[: -1 - cut])
    again = Waiting(100, path)
    assert (len(again), again.first(0.0)) == (1, FIRING)
    again.add(RESOLVED)
    assert len(Waiting(100, path)) == 2


def test_a_file_of_an_older_driftwatch_is_read(tmp_path: Path) -> None:
    path = tmp_path / "alerts"
    path.write_bytes(b"\n".join(map(announcement.encode, (FIRING, RESOLVED))))
    assert len(Waiting(2, path)) == 2


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "alerts").write_text("{}")
    with pytest.raises(SinkError, match="is not a valid file of undelivered alerts"):
        Waiting(2, tmp_path / "alerts")
