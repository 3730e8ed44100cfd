"""The demo, as a newcomer runs it: in an empty folder, without a broker."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests import plain_http

DEMO = [sys.executable, "-m", "driftwatch", "demo"]
UNBUFFERED = {**os.environ, "PYTHONUNBUFFERED": "1"}


def test_the_demo_shows_an_alert_and_serves_until_it_is_stopped(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*DEMO, "--stay"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=UNBUFFERED
    )
    try:
        output = ""
        assert process.stdout
        while "Serving until Ctrl-C" not in output:
            line = process.stdout.readline()
            assert line, f"exited early:\n{output}"
            output += line
        metrics = re.search(r"metrics (http://\S+)", output)
        assert metrics, output
        assert "driftwatch_alerts_total" in plain_http.get(metrics[1]).text
        process.send_signal(signal.SIGINT)
        rest, stderr = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 0, output + rest + stderr
    fired = re.search(r"fired (\d+) samples after", output)
    resolved = re.search(r"resolved (\d+) samples after", output)
    assert fired, output
    assert int(fired[1]) <= 100
    assert resolved, output
    assert int(resolved[1]) <= 500
    assert "false alarms before: 0." in output
    assert (tmp_path / "driftwatch-demo" / "demo.png").stat().st_size > 20_000
    assert (tmp_path / "driftwatch-demo" / "reference" / "manifest.json").is_file()
    assert stderr == ""


def test_the_demo_deletes_nothing_that_it_did_not_create(tmp_path: Path) -> None:
    kept = tmp_path / "driftwatch-demo" / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("years of work")
    done = subprocess.run(DEMO, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "was not made by a demo" in done.stderr
    assert kept.read_text() == "years of work"
