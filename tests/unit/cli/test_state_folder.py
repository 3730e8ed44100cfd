"""A folder that state cannot be written to is reported before the work starts."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from driftwatch.cli.app import _run
from driftwatch.cli.state_folder import held_state_folder
from driftwatch.config import load_config


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_state_folder_that_cannot_be_created_is_refused(
    bundle: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file")
    path = tmp_path / "daemon.yaml"
    path.write_text(
        f"source: {{kind: http}}\nstreams: [{{name: waves, reference: {bundle}}}]\n"
        "state_dir: taken/state\nserver: {port: 0}\n"
    )
    assert _run([command, str(path)]) == 2
    error = capsys.readouterr().err
    assert f"state_dir: {tmp_path / 'taken' / 'state'} cannot be written to by user " in error.replace("\n", "")
    assert not list(tmp_path.glob("taken/*"))


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_folder_with_sufficient_rights_is_also_tried(
    bundle: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "daemon.yaml"
    path.write_text(
        f"source: {{kind: http}}\nstreams: [{{name: waves, reference: {bundle}}}]\n"
        "state_dir: /proc/nope\nserver: {port: 0}\n"
    )
    assert _run([command, str(path)]) == 2
    assert "error: state_dir: /proc/nope cannot be written to" in capsys.readouterr().err.replace("\n", "")


def test_check_leaves_no_files_behind(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "daemon.yaml"
    path.write_text(
        f"source: {{kind: http}}\nstreams: [{{name: waves, reference: {bundle}}}]\n"
        "windows: {sizes: [20, 100]}\nstate_dir: deep/state\nserver: {port: 0}\n"
    )
    assert _run(["check", str(path)]) == 0
    assert list(tmp_path.iterdir()) == [path]


HOLDER = """
import sys
from driftwatch.cli.state_folder import held_state_folder
from driftwatch.config import load_config
with held_state_folder(load_config(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a configuration with state."""
    path = tmp_path / "daemon.yaml"
    path.write_text("source: {kind: http}\nstreams: [{name: a, reference: a}]\nstate_dir: state\nserver: {port: 0}\n")
    return path


def test_a_folder_is_used_by_one_daemon_only_until_that_is_killed(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two would overwrite each other's state, for instance if a configuration was copied with its state_dir."""
    monkeypatch.setattr("driftwatch.cli.state_folder.PATIENCE_S", 0.0)
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert _run(["run", str(path)]) == 1
        error = capsys.readouterr().err.replace("\n", " ")
        assert f"{path.parent / 'state'} is in use by another driftwatch, process {holder.pid} on " in error
        assert "give each daemon a folder of its own" in error
        holder.kill()
    with held_state_folder(load_config(path)):
        pass


def test_a_daemon_waits_a_little_for_the_previous_one_to_exit(path: Path) -> None:
    config = load_config(path)
    with ExitStack() as held:
        held.enter_context(held_state_folder(config))
        threading.Timer(0.3, held.pop_all().close).start()
        with held_state_folder(config):
            pass


def test_a_configuration_without_state_holds_no_folder(path: Path) -> None:
    path.write_text("source: {kind: http}\nstreams: [{name: a, reference: a}]\nserver: {port: 0}\n")
    with held_state_folder(load_config(path)):
        assert list(path.parent.iterdir()) == [path]
