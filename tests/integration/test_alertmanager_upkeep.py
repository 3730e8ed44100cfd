"""A firing alert keeps firing in Alertmanager after both the daemon and Alertmanager were killed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from driftwatch.data.codecs import encode
from driftwatch.stream.alert import decode_alert
from tests.alertmanager import running_alertmanager
from tests.integration.conftest import Cluster, StartDaemon
from tests.synthetic import SCHEMA, Images, shuffled_rows, waves


def messages(images: Images) -> list[tuple[bytes, Mapping[str, bytes]]]:
    encoded = (encode(images[start : start + 10], SCHEMA, "npy") for start in range(0, len(images), 10))
    return [(value, {**headers, "driftwatch-stream": b"waves"}) for value, headers in encoded]


def test_a_restart_of_both_resolves_no_firing_alert(
    cluster: Cluster, bundle: Path, tmp_path: Path, start_daemon: StartDaemon
) -> None:
    cluster.create()
    with running_alertmanager(tmp_path / "alertmanager") as alertmanager:

        def active_alerts() -> list[dict[str, Any]]:
            return alertmanager.alerts()

        config = {
            "source": cluster.source(),
            "streams": [{"name": "waves", "reference": str(bundle)}],
            "windows": {"sizes": [20, 100], "step": 10},
            "sinks": [{"kind": "alertmanager", "url": alertmanager.url, "resend_s": 0.5, "expires_s": 600}],
            "server": {"port": 0, "external_url": "https://driftwatch.example.com/"},
        }
        cluster.send(messages(waves(500, seed=11)))
        cluster.send(messages(shuffled_rows(waves(600, seed=12))))
        first = start_daemon(config)
        first.wait_for("all samples", lambda: first.metric("driftwatch_samples_total") == 1_100)
        first.wait_for("alert", lambda: bool(active_alerts()))
        before = active_alerts()
        first.kill()
        alertmanager.stop()
        alertmanager.start()
        assert active_alerts() == []

        second = start_daemon(config)
        second.wait_for("alert, although no sample is new", lambda: bool(active_alerts()))
        (restored,) = active_alerts()
        assert (restored["labels"], restored["startsAt"]) == (before[-1]["labels"], before[-1]["startsAt"])
        assert second.metric("driftwatch_samples_total") == 0

        cluster.send(messages(waves(900, seed=13)))
        second.wait_for("resolution", lambda: not active_alerts())
        written = [decode_alert(each.value) for each in cluster.read("alerts", lambda found: len(found) >= 2)]
        assert {alert.began_ms for alert in written} == {written[0].window.end_ms}
