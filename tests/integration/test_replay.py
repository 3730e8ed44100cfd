"""Files replayed without a broker: the same alerts, state over restarts, and webhooks that never hold up the stream."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from tests.chaos.replay import run_replay
from tests.daemons import launch_forked
from tests.integration.conftest import StartDaemon
from tests.patience import PATIENCE_S
from tests.receiver import Answer, receiver
from tests.synthetic import shuffled_rows, waves


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "stream.npy"
    parts = [waves(1_500, seed=11), shuffled_rows(waves(600, seed=12)), waves(900, seed=13)]
    np.save(path, np.concatenate(parts)[:, 0].astype(np.uint8))
    return path


def config(bundle: Path, data: Path, **more: Any) -> dict[str, Any]:
    return {
        "source": {"kind": "replay", "data": [str(data)], "stream": "waves", "batch": 7},
        "streams": [{"name": "waves", "reference": str(bundle)}],
        "windows": {"sizes": [20, 100], "step": 10},
        "sinks": [{"kind": "log"}],
        **more,
    }


def events(lines: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] in names]


def test_a_replay_exits_at_its_end_and_logs_its_alerts(bundle: Path, data: Path, start_daemon: StartDaemon) -> None:
    daemon = start_daemon(config(bundle, data), serving=False)
    assert daemon.process.wait(PATIENCE_S) == 0, daemon.log.read_text()
    logged = events(daemon.lines(), "drift", "drift resolved")
    assert logged[0]["event"] == "drift"
    assert logged[-1]["event"] == "drift resolved"


def test_a_cpu_without_kernels_is_reported_in_the_log(
    bundle: Path, data: Path, tmp_path: Path, start_daemon: StartDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "llvmlite.py").write_text("raise ImportError('built for another C library')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "hidden"), os.environ.get("PYTHONPATH", "")]))
    daemon = start_daemon(config(bundle, data, device="cpu"), serving=False, new_process=True)
    assert daemon.process.wait(PATIENCE_S) == 0, daemon.log.read_text()
    (warning,) = events(daemon.lines(), "scoring is slower than necessary")
    assert (warning["level"], warning["because"]) == ("warning", "llvmlite does not load")
    assert warning["remedy"] == "pip install 'driftwatch[cpu]'"


@pytest.mark.parametrize("allowed", [False, True])
def test_samples_are_sent_only_if_allowed(
    bundle: Path, data: Path, tmp_path: Path, start_daemon: StartDaemon, allowed: bool
) -> None:
    with receiver() as server:
        alerts = {"examples": {"count": 2, "include_samples": allowed}}
        state = tmp_path / "state"
        settings = config(
            bundle, data, sinks=[{"kind": "webhook", "url": server.url}], alerts=alerts, state_dir=str(state)
        )
        daemon = start_daemon(settings, serving=False)
        assert daemon.process.wait(PATIENCE_S) == 0, daemon.log.read_text()
    firing = orjson.loads(server.received[0].body)["data"]
    assert (firing["heat_map"]["rows"], firing["heat_map"]["columns"]) == (2, 2)
    sent = [*firing["examples"]["farthest"], *firing["examples"]["nearest"]]
    assert len(sent) == 4
    first, last = (firing["window"]["offsets"][0][side] for side in ("first", "last"))
    assert all(first <= each["offset"] <= last and 0 <= each["row"] < 7 for each in sent)
    assert ["sample" in each for each in sent] == [allowed] * 4
    panes = orjson.loads((state / "waves.replay.json").read_bytes())["panes"]
    assert all((b"image/png" in base64.b64decode(pane)) == allowed for pane in panes)


def test_a_replay_that_is_stopped_or_killed_with_a_full_disk_continues_where_it_was(
    bundle: Path, tmp_path: Path
) -> None:
    faults = ("stop", "full disk, then kill -9")
    outcome = run_replay(bundle, tmp_path, faults=faults, seed=3, longest_delay_s=2.0, start=launch_forked)
    assert outcome.exact
    assert outcome.alerts > 0, "without alerts little is tested"


def test_a_state_is_refused_for_other_files_than_it_was_made_from(
    bundle: Path, tmp_path: Path, start_daemon: StartDaemon
) -> None:
    for name, rows in (("monday", 300), ("tuesday", 400)):
        np.save(tmp_path / f"{name}.npy", waves(rows, seed=rows)[:, 0].astype(np.uint8))
    settings = config(bundle, tmp_path, sinks=[], state_dir=str(tmp_path / "state"))

    def replay(*names: str) -> tuple[int, str]:
        settings["source"]["data"] = [str(tmp_path / f"{name}.npy") for name in names]
        daemon = start_daemon(settings, serving=False)
        return daemon.process.wait(PATIENCE_S), daemon.log.read_text()

    idle = "nothing is left to replay"
    for names, expected_code, finished in (
        (["monday"], 0, False),
        (["monday"], 0, True),
        (["monday", "tuesday"], 0, False),
    ):
        exit_code, log = replay(*names)
        assert (exit_code, idle in log) == (expected_code, finished), log
    exit_code, log = replay("tuesday")
    assert exit_code == 1
    assert "is the state of a replay of monday.npy, 300 samples, 7 a message, not of tuesday.npy, 400" in log


def test_webhooks_retry(bundle: Path, data: Path, start_daemon: StartDaemon) -> None:
    with receiver(Answer(503), Answer(503), Answer(204)) as server:
        looped = config(bundle, data, sinks=[{"kind": "webhook", "url": server.url}])
        looped["source"] |= {"rate": 3_000, "loop": True}
        daemon = start_daemon(looped)
        daemon.wait_for("delivery", lambda: daemon.metric("driftwatch_sink_deliveries_total") >= 1)
        assert daemon.metric("driftwatch_sink_failures_total") == 0
        daemon.stop()
    first, second, third = (each.body for each in server.received[:3])
    assert first == second == third
    alert = orjson.loads(third)
    assert alert["data"]["state"] == "firing"


def test_a_webhook_that_never_answers_holds_up_nothing(bundle: Path, data: Path, start_daemon: StartDaemon) -> None:
    sinks = [{"kind": "webhook", "url": "http://127.0.0.1:9/", "max_attempts": 2}, {"kind": "log"}]
    looped = config(bundle, data, sinks=sinks)
    looped["source"] |= {"loop": True}
    daemon = start_daemon(looped)
    daemon.wait_for("failure", lambda: daemon.metric("driftwatch_sink_failures_total") >= 1)
    before = daemon.metric("driftwatch_samples_total")
    daemon.wait_for("more samples", lambda: daemon.metric("driftwatch_samples_total") > before + 1_000)
    assert daemon.get("/readyz").status_code == 200
    assert daemon.stop() < 5.0
