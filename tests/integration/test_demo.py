"""The demo, as a newcomer runs it: in a folder of their own, with no broker."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DEMO = [sys.executable, "-m", "driftwatch", "demo", "--exit"]


def test_the_demo_tells_its_story(tmp_path: Path) -> None:
    done = subprocess.run(DEMO, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout
    fired = re.search(r"fired (\d+) samples after", told)
    resolved = re.search(r"resolved (\d+) samples after", told)
    assert fired, told
    assert int(fired[1]) <= 100
    assert resolved, told
    assert int(resolved[1]) <= 500
    assert "false alarms before: 0." in told
    assert "/metrics" in told
    assert (tmp_path / "driftwatch-demo" / "demo.png").stat().st_size > 20_000
    assert (tmp_path / "driftwatch-demo" / "reference" / "manifest.json").is_file()
    assert done.stderr == ""


def test_the_demo_removes_nothing_that_it_did_not_make(tmp_path: Path) -> None:
    kept = tmp_path / "driftwatch-demo" / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("years of work")
    done = subprocess.run(DEMO, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "no demo made it" in done.stderr
    assert kept.read_text() == "years of work"
