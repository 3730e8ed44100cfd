"""Processes that are forked for tests end, are signalled and see their surroundings as others do."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.forked import fork, run

WAIT_S = 90.0


def check(config: str, folder: Path, **environment: str) -> tuple[int, str]:
    """The exit code of ``driftwatch check`` in a folder, and what it wrote."""
    told = folder / "told"
    with told.open("wb") as output:
        code = fork(["check", config], output, environment={**os.environ, **environment}, cwd=folder).wait(WAIT_S)
    return code, told.read_text()


def test_it_ends_as_the_command_does(tmp_path: Path) -> None:
    assert run("--version").startswith("driftwatch ")
    with pytest.raises(AssertionError, match=r"there-is-none\.yaml"):
        run("check", "there-is-none.yaml")
    code, told = check("there-is-none.yaml", tmp_path)
    assert code == 2
    assert told.startswith("driftwatch: error: there-is-none.yaml")


def test_it_has_the_folder_and_the_environment_that_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "here.yaml").write_text("source: {kind: http, token: '${DRIFTWATCH_TOLD}'}\nstreams: []\n")
    assert "DRIFTWATCH_TOLD" in check("here.yaml", tmp_path)[1]
    code, told = check("here.yaml", tmp_path, DRIFTWATCH_TOLD="a-token-that-is-long-enough")
    assert code == 2
    assert "here.yaml" in told
    assert "DRIFTWATCH_TOLD" not in told


def test_it_can_be_killed_and_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never.yaml")
    with (tmp_path / "told").open("wb") as output:
        process = fork(["check", str(tmp_path / "never.yaml")], output, environment=os.environ)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    assert process.poll() is None
    process.kill()
    assert process.wait(WAIT_S) == process.poll() == -signal.SIGKILL
    process.kill()


def test_what_is_read_at_a_start_cannot_be_changed(tmp_path: Path) -> None:
    run("--version")
    with pytest.raises(AssertionError, match="starts anew"):
        check("any.yaml", tmp_path, PYTHONPATH="elsewhere")
