"""A place where no bundle can be written is reported before the data are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftwatch.cli.app import _run


@pytest.mark.parametrize("place", ["taken/deep/mine", "/proc/nope/mine"])
@pytest.mark.parametrize("command", [["train", "train.yaml"], ["recalibrate", "none", "none.npy"]], ids=lambda c: c[0])
def test_an_unwritable_place_is_reported_with_what_to_check(
    tmp_path: Path,
    command: list[str],
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("a file")
    (tmp_path / "train.yaml").write_text("data: {train: none.npy}\n")
    assert _run([*command, "--out", place]) == 1
    error = capsys.readouterr().err
    assert f"driftwatch: error: {place}: cannot be written: " in error.replace("\n", "")
    assert f"(check {place.split('/deep', maxsplit=1)[0].removesuffix('/nope/mine')}, or choose another place)" in error
    assert {path.name for path in tmp_path.iterdir()} == {"taken", "train.yaml"}
