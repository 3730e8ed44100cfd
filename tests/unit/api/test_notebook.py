"""The notebook of the docs runs, and shows what is written down in it."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest

from tests.notebook import NOTEBOOK, executed

CODE = "code"


def kinds(notebook: Any) -> list[list[str]]:
    """What kind of thing each cell shows."""
    cells = [cell for cell in notebook.cells if cell.cell_type == CODE]
    return [sorted({kind for output in cell.outputs for kind in output.get("data", {"text": ""})}) for cell in cells]


@pytest.fixture(scope="module")
def written() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_runs_and_shows_what_is_written_down(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the notebook's own draws into it
    found = executed()
    assert kinds(found) == kinds(written)
    for notebook in (found, written):
        told = "".join(output.text for output in notebook.cells[-2].outputs)
        assert (told.count("firing"), told.count("resolved")) == (1, 1)


def test_what_is_written_down_is_whole(written: Any) -> None:
    nbformat.validate(written)
    code = [cell for cell in written.cells if cell.cell_type == CODE]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert "image/png" in code[-1].outputs[0].data
    text = NOTEBOOK.read_text()
    assert not [place for place in ("/tmp/", "/work/", "/home/") if place in text]
