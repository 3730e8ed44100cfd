"""The command, if driftwatch was installed without dependencies, for its client alone."""

from __future__ import annotations

import subprocess
import sys

COMMAND = "import sys; sys.modules['typer'] = None; from driftwatch.cli import main; main()"


def test_the_command_names_the_missing_package_in_one_line() -> None:
    done = subprocess.run([sys.executable, "-c", COMMAND, "run"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("driftwatch: error: typer is not installed")
    assert done.stderr.count("\n") == 1
