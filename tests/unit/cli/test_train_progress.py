"""What a training says of its progress where there is no terminal, as in a container's log."""

from __future__ import annotations

import pytest

from driftwatch.cli import train


def test_what_follows_the_steps_is_said_too_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train, "PLAIN_EVERY_S", 0.0)
    with train._Bar() as bar:
        bar.doing("calibrating", 0.0)
        monkeypatch.setattr(train, "PLAIN_EVERY_S", 3600.0)
        bar.doing("evaluating blur", 0.25)
        bar.doing("evaluating noise", 0.5)
    assert capsys.readouterr().err.splitlines() == ["calibrating", "evaluating blur, 25%"]
