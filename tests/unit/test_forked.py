"""Forked processes exit, receive signals and see their environment as other processes do."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.forked import fork, run
from tests.patience import PATIENCE_S


def check(config: str, folder: Path, **environment: str) -> tuple[int, str]:
    """The exit code and the output of ``driftwatch check`` in a folder."""
    log = folder / "log"
    with log.open("wb") as output:
        code = fork(["check", config], output, environment={**os.environ, **environment}, cwd=folder).wait(PATIENCE_S)
    return code, log.read_text()


def test_a_forked_command_exits_as_a_started_one(tmp_path: Path) -> None:
    assert run("--version").startswith("driftwatch ")
    with pytest.raises(AssertionError, match=r"there-is-none\.yaml"):
        run("check", "there-is-none.yaml")
    code, text = check("there-is-none.yaml", tmp_path)
    assert code == 2
    assert text.startswith("driftwatch: error: there-is-none.yaml")


def test_a_forked_command_has_the_given_folder_and_environment(tmp_path: Path) -> None:
    (tmp_path / "here.yaml").write_text("source: {kind: http, token: '${DRIFTWATCH_TOLD}'}\nstreams: []\n")
    assert "DRIFTWATCH_TOLD" in check("here.yaml", tmp_path)[1]
    code, text = check("here.yaml", tmp_path, DRIFTWATCH_TOLD="a-token-that-is-long-enough")
    assert code == 2
    assert "here.yaml" in text
    assert "DRIFTWATCH_TOLD" not in text


def test_a_forked_command_can_be_killed_and_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never.yaml")
    with (tmp_path / "log").open("wb") as output:
        process = fork(["check", str(tmp_path / "never.yaml")], output, environment=os.environ)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    assert process.poll() is None
    process.kill()
    assert process.wait(PATIENCE_S) == process.poll() == -signal.SIGKILL
    process.kill()


def test_variables_that_are_read_at_start_cannot_be_changed(tmp_path: Path) -> None:
    run("--version")
    with pytest.raises(AssertionError, match="started, not forked"):
        check("any.yaml", tmp_path, PYTHONPATH="elsewhere")
