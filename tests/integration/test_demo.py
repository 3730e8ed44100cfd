"""The demo, as a newcomer runs it: in a folder of their own, with no broker."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

DEMO = [sys.executable, "-m", "driftwatch", "demo"]
UNBUFFERED = {**os.environ, "PYTHONUNBUFFERED": "1"}


def test_the_demo_tells_its_story_and_serves_until_it_is_stopped(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*DEMO, "--stay"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=UNBUFFERED
    )
    try:
        told = ""
        assert process.stdout
        while "Serving until Ctrl-C" not in told:
            line = process.stdout.readline()
            assert line, f"ended early:\n{told}"
            told += line
        metrics = re.search(r"metrics (http://\S+)", told)
        assert metrics, told
        assert "driftwatch_alerts_total" in httpx.get(metrics[1], timeout=10).text
        process.send_signal(signal.SIGINT)
        rest, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, told + rest + stderr
    fired = re.search(r"fired (\d+) samples after", told)
    resolved = re.search(r"resolved (\d+) samples after", told)
    assert fired, told
    assert int(fired[1]) <= 100
    assert resolved, told
    assert int(resolved[1]) <= 500
    assert "false alarms before: 0." in told
    assert (tmp_path / "driftwatch-demo" / "demo.png").stat().st_size > 20_000
    assert (tmp_path / "driftwatch-demo" / "reference" / "manifest.json").is_file()
    assert stderr == ""


def test_the_demo_removes_nothing_that_it_did_not_make(tmp_path: Path) -> None:
    kept = tmp_path / "driftwatch-demo" / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("years of work")
    done = subprocess.run(DEMO, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "was not made by a demo" in done.stderr
    assert kept.read_text() == "years of work"
