"""``driftwatch train`` as a user runs it: Ctrl-C, resumption, and a bundle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from driftwatch.cli.app import _run
from driftwatch.reference.bundle import load_bundle
from tests.synthetic import waves

ROOT = Path(__file__).parents[3]
ENDLESS_STEPS = 10_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "waves.npy", waves(2_000)[:, 0].astype(np.uint8))
    return tmp_path


def configure(folder: Path, max_steps: int) -> None:
    training = {"minutes": None, "max_steps": max_steps, "precision": "float32", "calibration_fraction": 0.3}
    settings = {
        "data": {"train": "waves.npy"},
        "flow": {"scales": 2, "steps": 1, "hidden": 8},
        "training": training,
        "output": {"bundle": "cam"},
    }
    (folder / "train.yaml").write_text(yaml.safe_dump(settings))


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "driftwatch", "train", "train.yaml", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_ctrl_c_then_the_same_command_then_a_bundle(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(folder, ENDLESS_STEPS)
    running = start(folder)
    try:
        assert running.stderr is not None
        # The flow is described just before training begins.
        for line in running.stderr:
            if "parameters" in line:
                break
        running.send_signal(signal.SIGINT)
        out, errors = running.communicate()
    finally:
        running.kill()
    assert running.returncode == 130
    assert out == ""
    assert "stopping after this step" in errors
    last = errors.strip().splitlines()[-1]
    assert last.startswith("driftwatch: stopped after ")
    assert last.endswith("(the same command continues from there)")
    steps = int(last.split("after ")[1].split(" ")[0].replace(",", ""))

    configure(folder, steps + 5)
    resumed = start(folder)
    out, errors = resumed.communicate()
    assert resumed.returncode == 0, errors
    assert f"continuing from the checkpoint at step {steps:,}" in errors
    bundle = load_bundle(folder / "cam")
    assert f"(version {bundle.version})" in out
    assert "bits/dim" in out
    assert "a quarter turn" in out
    output = " ".join(out.split())
    assert " held out to calibrate" in errors
    held_out = errors.split(" held out to calibrate")[0].split("; ")[-1]
    assert f"with the default windows: windows of 500 are large relative to the {held_out} held-out samples" in output
    assert (
        "hold out 4,000 samples: train on more rows or run driftwatch recalibrate with more, or use windows of"
        in output
    )
    assert "Smallest shift detected: 90% of windows alarm, at a false alarm in 1,000,000 samples" in out
    assert sorted(path.name for path in folder.iterdir()) == ["cam", "train.yaml", "waves.npy"]

    monkeypatch.chdir(folder)
    assert _run(["train", "train.yaml"]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("driftwatch: error: ")
    assert errors.count("\n") == 1
