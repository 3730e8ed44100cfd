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


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "alerts").write_text("{}")
    with pytest.raises(SinkError, match="holds no undelivered alerts"):
        Waiting(2, tmp_path / "alerts")
