"""What is run as ``python -m`` beside driftwatch says what it does when asked for help, and does nothing else."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "deploy", "tests/broker", "tests/chaos")
BEFORE_INSTALLATION = {"tests.broker.archive", "tests.broker.jars"}
"""`make test` runs them to fill caches, and nobody else does."""


def programs() -> list[str]:
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    runnable = [path for path in paths if '\nif __name__ == "__main__"' in path.read_text()]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in runnable]
    return [name for name in names if name not in BEFORE_INSTALLATION]


@pytest.mark.parametrize("program", programs())
def test_help_is_printed(program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, program, raising=False)
    monkeypatch.setattr(sys, "argv", [program, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(program, run_name="__main__")
    assert ended.value.code == 0
    assert "usage: " in capsys.readouterr().out.lower()
