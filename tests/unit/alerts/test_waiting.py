"""Alerts of a daemon without Kafka: none is lost by a restart, and none is sent twice because it was raised twice."""

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
    """Run a daemon's delivery that is stopped at once: each waiting alert is tried once."""
    sink = WebhookSink(WebhookSinkConfig(kind="webhook", url=url), "webhook", Links("", ""), ["warning"])
    with closing(sink):
        delivery = QueueDelivery(sink, lambda event: None, saved)
        for alert in alerts:
            delivery.submit(alert)
        stop = threading.Event()
        stop.set()
        delivery.run(stop)


def test_undelivered_alerts_are_delivered_after_a_restart(tmp_path: Path) -> None:
    saved = tmp_path / "webhook.undelivered.jsonl"
    with receiver(Answer(503), Answer(204)) as server:
        stopped_delivery(server.url, saved, FIRING, RESOLVED)
        assert len(server.received) == 1
        # A replay that was killed before it saved its state raises the same alert again.
        stopped_delivery(server.url, saved, FIRING)
        stopped_delivery(server.url, saved)
    bodies = [each.body for each in server.received]
    assert bodies == [announcement.encode(alert) for alert in (FIRING, FIRING, RESOLVED)]


def test_a_full_disk_holds_up_no_alert(tmp_path: Path) -> None:
    waiting = Waiting(2, tmp_path / "alerts")
    waiting.add(FIRING)
    with full_disk(len(announcement.encode(FIRING)) + 100):
        assert waiting.add(RESOLVED)
        assert not waiting.add(sample_alert(at_ms=1)), "the limit is two"
        reopened = Waiting(2, tmp_path / "alerts")
        assert (len(waiting), len(reopened)) == (2, 1)
    waiting.done()
    assert Waiting(2, tmp_path / "alerts").first(0.0) == RESOLVED


def test_waiting_alerts_are_the_same_after_a_restart_at_any_point(tmp_path: Path) -> None:
    path, alerts = tmp_path / "alerts", [sample_alert(at_ms=number) for number in range(12)]
    waiting, left = Waiting(100, path), list[announcement.Announcement]()
    for number, alert in enumerate(alerts):
        waiting.add(alert)
        left.append(alert)
        for _ in range(number % 3):
            waiting.done()
            left.pop(0)
        assert _alerts_in(path) == left
    while left:
        waiting.done()
        left.pop(0)
        assert _alerts_in(path) == left
    assert path.read_bytes() == b""


def _alerts_in(path: Path) -> list[announcement.Announcement]:
    reopened, found = Waiting(100, path.rename(path.with_suffix(".copy"))), list[announcement.Announcement]()
    content = path.with_suffix(".copy").read_bytes()
    while (first := reopened.first(0.0)) is not None:
        found.append(first)
        reopened.done()
    path.write_bytes(content)
    return found


def test_adding_an_alert_does_not_rewrite_the_file(tmp_path: Path) -> None:
    path = tmp_path / "alerts"
    waiting = Waiting(100, path)
    waiting.add(sample_alert(at_ms=0))
    inode = path.stat().st_ino
    for number in range(1, 20):
        waiting.add(sample_alert(at_ms=number))
    assert path.stat().st_ino == inode


@pytest.mark.parametrize("cut", [1, 40])
def test_a_line_truncated_by_a_power_failure_is_skipped(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "alerts"
    waiting = Waiting(100, path)
    waiting.add(FIRING)
    waiting.add(RESOLVED)
    path.write_bytes(path.read_bytes()[: -1 - cut])
    reopened = Waiting(100, path)
    assert (len(reopened), reopened.first(0.0)) == (1, FIRING)
    reopened.add(RESOLVED)
    assert len(Waiting(100, path)) == 2


def test_a_file_of_an_older_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "alerts"
    path.write_bytes(b"\n".join(map(announcement.encode, (FIRING, RESOLVED))))
    assert len(Waiting(2, path)) == 2


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "alerts").write_text("{}")
    with pytest.raises(SinkError, match="is not a valid file of undelivered alerts"):
        Waiting(2, tmp_path / "alerts")
