"""The notebook of the docs, executed; ``python -m tests.notebook`` saves it with its outputs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"
CELL_S = 240


def executed() -> Any:
    """Execute the notebook.

    Raises:
        CellExecutionError: a cell fails.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=CELL_S, kernel_name="python3", record_timing=False).execute()
    return notebook


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    found = executed()
    found.metadata.pop("widgets", None)
    found.metadata["language_info"] = {"name": "python"}
    nbformat.write(found, NOTEBOOK)
