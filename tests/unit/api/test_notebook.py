"""The notebook of the docs runs, and shows the outputs that are saved in it."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest

from tests.notebook import NOTEBOOK, executed

CODE = "code"


def kinds(notebook: Any) -> list[list[str]]:
    """The kinds of output of each cell."""
    cells = [cell for cell in notebook.cells if cell.cell_type == CODE]
    return [sorted({kind for output in cell.outputs for kind in output.get("data", {"text": ""})}) for cell in cells]


@pytest.fixture(scope="module")
def saved() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_notebook_runs_and_shows_its_saved_outputs(saved: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MPLBACKEND", raising=False)  # so that the notebook's own backend draws inline
    found = executed()
    assert kinds(found) == kinds(saved)
    for notebook in (found, saved):
        text = "".join(output.text for output in notebook.cells[-2].outputs)
        assert (text.count("firing"), text.count("resolved")) == (1, 1)


def test_the_saved_notebook_is_complete(saved: Any) -> None:
    nbformat.validate(saved)
    code = [cell for cell in saved.cells if cell.cell_type == CODE]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert "image/png" in code[-1].outputs[0].data
    source = NOTEBOOK.read_text()
    assert not [place for place in ("/tmp/", "/work/", "/home/") if place in source]
