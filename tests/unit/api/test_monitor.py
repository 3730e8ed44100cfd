"""A monitor in Python raises the same alerts as the daemon."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import driftwatch
from driftwatch.config import DaemonConfig
from driftwatch.daemon import Daemon, load_references
from driftwatch.errors import ConfigError
from driftwatch.running import build_monitor
from tests.people import rows
from tests.synthetic import shuffled_rows, waves

SETTINGS = {"sizes": [20, 100], "step": 10}
"""Windows whose null is stored in the bundle."""

BATCH = 24
TIME = re.compile(r"[0-9-]{10}T[0-9:.]{12}Z")


def stream() -> np.ndarray:
    return np.concatenate([waves(200, seed=21), shuffled_rows(waves(100, seed=22)), waves(200, seed=23)])


def alerts_of_the_daemon(bundle: Path, data: Path) -> list[driftwatch.Alert]:
    config = DaemonConfig.model_validate(
        {
            "source": {"kind": "replay", "data": [str(data)], "stream": "cam", "batch": BATCH},
            "streams": [{"name": "cam", "reference": str(bundle)}],
            "windows": SETTINGS,
        }
    )
    daemon = Daemon(config, load_references(config), build_monitor(config))
    found: list[driftwatch.Alert] = []
    daemon._replay_role(config.source, found.append).run(threading.Event())
    return found


def test_alerts_equal_those_of_the_daemon(bundle: Path, pictures: driftwatch.Reference, tmp_path: Path) -> None:
    np.save(tmp_path / "cam.npy", stream().astype(np.uint8))
    expected = alerts_of_the_daemon(bundle, tmp_path / "cam.npy")
    monitor = pictures.monitor(windows=SETTINGS["sizes"], step=10, name="cam")
    found = [
        alert for start in range(0, len(stream()), BATCH) for alert in monitor.update(stream()[start : start + BATCH])
    ]
    assert (found[0].state, found[-1].state) == ("firing", "resolved")
    same = ("stream", "state", "severity", "effect", "p_value", "detectors", "reference", "heat_map")
    assert [[getattr(alert, name) for name in same] for alert in found] == [
        [getattr(alert, name) for name in same] for alert in expected
    ]
    # Samples arrived at other times, which the explanations may contain.
    assert [TIME.sub("", alert.explanation) for alert in found] == [
        TIME.sub("", alert.explanation) for alert in expected
    ]
    offsets = [[(each.first, each.last) for each in alert.window.offsets] for alert in found]
    assert offsets == [[(each.first, each.last) for each in alert.window.offsets] for alert in expected]


def test_a_monitor_shows_its_state_between_alerts(people: driftwatch.Reference) -> None:
    monitor = people.monitor(windows=[50], budget=1e4, resolve_after=1, anytime_alpha=0)
    assert (monitor.firing, monitor.severity, monitor.windows) == (False, None, ())
    assert monitor.update(rows(49, seed=7)) == []
    assert monitor.windows == ()
    assert monitor.update(rows(31, seed=8)) == []
    assert [window.span.samples for window in monitor.windows] == [50] * 4
    at = datetime(2100, 5, 4, tzinfo=UTC)
    alert, *_ = monitor.update(rows(200, seed=9, shift=2.0), time=at)
    assert (monitor.firing, monitor.severity) == (True, "critical")
    assert alert.window.end_ms == at.timestamp() * 1000
    assert alert.p_value <= monitor.threshold
    assert alert.to_data()["stream"] == "stream"
    assert [alert.state for alert in monitor.update(rows(100, seed=10))] == ["resolved"]


def test_a_batch_that_is_refused_leaves_the_monitor_unchanged(pictures: driftwatch.Reference) -> None:
    monitor = pictures.monitor(windows=SETTINGS["sizes"], step=10)
    with pytest.raises(driftwatch.DriftwatchError, match="rows from 2048"):
        monitor.update(np.concatenate([waves(2_048, seed=1), np.full((1, 1, 8, 8), 300.0)]))
    with pytest.raises(driftwatch.DriftwatchError, match=r"^time: 2100-05-04 00:00:00 has no zone"):
        monitor.update(waves(1, seed=1), time=datetime(2100, 5, 4))  # noqa: DTZ001 - a time without a zone is refused
    assert monitor.update(waves(19, seed=2)) == []
    assert monitor.windows == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"windows": 50}, r"sizes: should be a list, got 50 \(write it in square brackets\)"),
        ({"windows": [55]}, r"sizes \[55\] should be multiples of step 10"),
        ({"budget": 3}, "must allow some false alarms, and no more than one in 100 samples"),
        ({"budget": "often"}, "'often' is not a budget"),
        ({"resolve_after": 0}, "^resolve_after: should be greater than or equal to 1"),
    ],
)
def test_invalid_settings_are_reported(pictures: driftwatch.Reference, settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pictures.monitor(**settings)
