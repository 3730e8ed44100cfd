"""Data cannot control the terminal of the person who looks at them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import structlog
from rich.console import Console

from driftwatch.cli.app import _run
from driftwatch.cli.console import PlainConsole, print_error, print_remark, stderr, stdout, table
from driftwatch.errors import DataError
from driftwatch.logs import configure_logging
from driftwatch.terminal import printable
from tests.synthetic import shuffled_rows, waves

HOSTILE = "\x1b]0;title\x07\x1b[31m\x9b31m\u202egnp\r\b\x00\udc80"
SHOWN = r"\x1b]0;title\x07\x1b[31m\x9b31m\u202egnp\r\x08\x00\udc80"
MARKED = "[red]a[/red] [link=http://x]b[/link] [/nope] :warning:"


def test_control_characters_are_escaped_and_all_else_stays() -> None:
    assert printable(HOSTILE) == SHOWN
    fine = "Zürich, 東京,\tשלום 👩‍👧\nline"
    assert printable(fine) == fine


def print_table(console: Console) -> None:
    printed_table = table(f"T {MARKED}{HOSTILE}", "a")
    printed_table.add_row(f"{MARKED}{HOSTILE}")
    console.print(printed_table)


@pytest.mark.parametrize("console", [stdout, stderr])
@pytest.mark.parametrize(
    "show", [print_table, lambda console: console.print(f"{MARKED}{HOSTILE}")], ids=["table", "line"]
)
def test_a_console_prints_markup_and_control_characters_literally(
    console: Callable[[], PlainConsole],
    show: Callable[[Console], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    show(console())
    output = "".join(capsys.readouterr())
    assert f"{MARKED}{SHOWN}" in output
    assert printable(output) == output


def test_errors_and_remarks_are_printed_literally(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(DataError(HOSTILE, where=MARKED))
    print_remark(HOSTILE)
    output = capsys.readouterr().err
    assert output.splitlines()[0].startswith(f"driftwatch: error: {MARKED}: \\x1b]0;title")
    assert printable(output) == output


def test_a_log_for_people_is_printed_literally(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "console")
    structlog.get_logger("a").warning("dead letter", **{"reason": "\x1b[31mred", "b\x1b": "\x9b31m"})
    output = capsys.readouterr().err
    assert r"\x1b[31mred" in output
    assert printable(output) == output


def test_commands_print_names_literally(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, found in (("calm", waves(60, seed=5)), ("moved", shuffled_rows(waves(60, seed=6)))):
        np.save(tmp_path / f"{name}.npy", found.astype(np.uint8))
    shifted = f"[/nope]\x1b[31m={tmp_path / 'moved.npy'}"
    arguments = ["--reference", str(tmp_path / "calm.npy"), "--shifted", shifted, "--windows", "1"]
    assert _run(["evaluate", str(bundle), *arguments]) == 0
    assert r"[/nope]\x1b[31m" in capsys.readouterr().out
    assert _run(["score", str(bundle), str(tmp_path / "none\x1b[31m.npy")]) == 1
    assert r"none\x1b[31m.npy" in capsys.readouterr().err
