"""``driftwatch check`` says who can post samples, whether replayed files fit, and how fast scoring is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest
import yaml

from driftwatch.cli.app import _run
from driftwatch.cli.check import _timeless
from driftwatch.config import DaemonConfig
from driftwatch.kernels.cpu import compiled
from tests.synthetic import waves

TOKEN = "long enough"
STORED = {"sizes": [20, 100], "step": 10}
"""Windows whose null is in the bundle; that of others would be simulated, which takes seconds."""


@pytest.mark.parametrize(
    ("source", "server", "message"),
    [
        ({}, {"host": "127.0.0.1"}, "http://127.0.0.1:9464/ by programs of this machine;"),
        ({"token": TOKEN}, {"host": "127.0.0.1"}, "http://127.0.0.1:9464/ by programs of this machine with a token;"),
        ({"host": "localhost", "port": 8080}, {}, "http://localhost:8080/ by programs of this machine;"),
        ({"anonymous": True}, {"host": "0.0.0.0"}, "http://0.0.0.0:9464/ by anyone who reaches it;"),
        ({"token": TOKEN}, {"host": "0.0.0.0"}, "http://0.0.0.0:9464/ by anyone who reaches it with a token;"),
    ],
)
def test_check_says_who_can_post(
    tmp_path: Path,
    source: dict[str, object],
    server: dict[str, object],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    forward = {"bootstrap_servers": ["127.0.0.1:1"], "topic": "requests"}
    settings = {"source": {"kind": "http", "forward": forward, **source}, "server": {"port": 9464, **server}}
    (tmp_path / "forward.yaml").write_text(yaml.safe_dump(settings))
    assert _run(["check", str(tmp_path / "forward.yaml"), "--offline", "--format", "json"]) == 0
    assert message in orjson.loads(capsys.readouterr().out)["source"]


def test_files_that_do_not_fit_the_reference_are_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "vectors.npy", np.ones((100, 3)))
    settings = {
        "source": {"kind": "replay", "data": ["vectors.npy"], "stream": "waves"},
        "streams": [{"name": "waves", "reference": str(bundle)}],
    }
    (tmp_path / "replay.yaml").write_text(yaml.safe_dump(settings))
    assert _run(["check", str(tmp_path / "replay.yaml")]) == 1
    assert "vectors.npy, rows from 0: has shape (64, 3) (expected" in capsys.readouterr().err


def test_the_json_output_says_why_scoring_is_slow(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "version", lambda name: "0.44.0")
    settings = {
        "source": {"kind": "http"},
        "streams": [{"name": "waves", "reference": str(bundle)}],
        "windows": STORED,
        "device": "cpu",
    }
    (tmp_path / "slow.yaml").write_text(yaml.safe_dump(settings))
    assert _run(["check", str(tmp_path / "slow.yaml"), "--offline", "--format", "json"]) == 0
    device = orjson.loads(capsys.readouterr().out)["device"]
    assert device == "cpu, layer by layer: llvmlite 0.44.0 is older than 0.45 (pip install 'driftwatch[cpu]')"


@pytest.mark.parametrize(
    ("more", "sizes", "message"),
    [
        ({}, [50, "5m", "1h"], "windows of 5m, 1h assume 1,000 samples per second"),
        ({"rate": 20}, [50, "5m"], "windows of 5m assume 20 samples per second"),
        ({"time": "seen"}, [50, "5m"], ""),
        ({}, [50], ""),
    ],
)
def test_windows_by_time_in_a_replay_without_times_give_a_warning(
    more: dict[str, object], sizes: list[int | str], message: str
) -> None:
    source = {"kind": "replay", "data": ["mine.csv"], "stream": "mine", **more}
    streams = [{"name": "mine", "reference": "bundles/mine"}]
    config = DaemonConfig.model_validate({"source": source, "streams": streams, "windows": {"sizes": sizes}})
    assert " ".join(_timeless(config)).startswith(message)
    assert bool(message) == bool(list(_timeless(config)))


def test_warnings_name_their_stream(timed_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "waves.npy", waves(64, seed=5).astype(np.uint8))
    settings = {
        "source": {"kind": "replay", "data": ["waves.npy"], "stream": "waves", "rate": 100},
        "streams": [{"name": "waves", "reference": str(timed_bundle)}],
        "windows": {"sizes": [20, 100, "1m"], "step": 10},
    }
    (tmp_path / "replay.yaml").write_text(yaml.safe_dump(settings))
    assert _run(["check", str(tmp_path / "replay.yaml"), "--offline"]) == 0
    assert "waves: warning: windows of 1m assume 100 samples per second" in capsys.readouterr().out


def test_what_is_said_of_several_streams_is_said_once(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["east", "north", "west"]
    settings = {
        "source": {"kind": "http"},
        "streams": [{"name": name, "reference": str(bundle)} for name in names],
        "windows": STORED,
        "alerts": {"false_alarm_budget": "1 per 1e9 samples"},
    }
    (tmp_path / "several.yaml").write_text(yaml.safe_dump(settings))
    assert _run(["check", str(tmp_path / "several.yaml"), "--offline"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "a false alarm in 1,000,000,000 samples of each stream" in out
    assert "east, north, west: one false alarm in 1,000,000,000 samples is more than 2,000 held-out samples" in out
    assert out.count("can vouch for") == 1
