"""A folder that state cannot be written to is told before the work."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftwatch.cli.app import _run


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_state_folder_that_cannot_be_made_is_refused(
    bundle: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file")
    path = tmp_path / "daemon.yaml"
    path.write_text(
        f"source: {{kind: http}}\nstreams: [{{name: waves, reference: {bundle}}}]\n"
        "state_dir: taken/state\nserver: {port: 0}\n"
    )
    assert _run([command, str(path)]) == 2
    told = capsys.readouterr().err
    assert f"state_dir: {tmp_path / 'taken' / 'state'} cannot be written to by user " in told.replace("\n", "")
    assert not list(tmp_path.glob("taken/*"))


@pytest.mark.parametrize("command", ["check", "run"])
def test_where_rights_say_yes_it_is_tried(
    bundle: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "daemon.yaml"
    path.write_text(
        f"source: {{kind: http}}\nstreams: [{{name: waves, reference: {bundle}}}]\n"
        "state_dir: /proc/nope\nserver: {port: 0}\n"
    )
    assert _run([command, str(path)]) == 2
    assert "error: state_dir: /proc/nope cannot be written to" in capsys.readouterr().err.replace("\n", "")


def test_check_leaves_nothing_behind(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "daemon.yaml"
    path.write_text(
        f"source: {{kind: http}}\nstreams: [{{name: waves, reference: {bundle}}}]\n"
        "windows: {sizes: [20, 100]}\nstate_dir: deep/state\nserver: {port: 0}\n"
    )
    assert _run(["check", str(path)]) == 0
    assert list(tmp_path.iterdir()) == [path]
